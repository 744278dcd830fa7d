package server_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"comfygo/auth"
	"comfygo/server"
)

// TestPathTricks writes paths in forms that confuse comparisons of texts: with a store nothing is reached without a
// credential that could not be reached before, and a role reaches nothing more.
func TestPathTricks(t *testing.T) {
	t.Parallel()
	a := startAuth(t, nil, nil)
	for _, path := range []string{
		"//prompt", "/./prompt", "/%70rompt", "/ws/../prompt", "/api//prompt", "/Prompt", "/prompt/", "/health/../prompt", "/health%2f..%2fprompt",
		"/login/../prompt", "/login;/../prompt", "/app/../prompt", "/app/%2e%2e/prompt", "/index.html/../prompt", "/prompt%00", "/prompt%20", "/prompt;x=/health",
		"/api/api/prompt", "/\\prompt", "/%2fprompt", "/ready/../internal/logs", "/assets/../internal/logs", "/INTERNAL/logs", "/internal//logs", "/api/internal/logs",
		"/app/../../secret.txt", "/assets/..%2f..%2fsecret.txt", "/extensions/pack/ext.js", "/extensions/../secret.txt", "/app/start.json/../../prompt",
	} {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH"} {
			got := a.do(method, path, "", "X-HTTP-Method-Override", "OPTIONS", "X-Original-URL", "/health", "X-Forwarded-Prefix", "/login")
			if got.status < 300 || strings.Contains(got.body, "queue_remaining") || strings.Contains(got.body, "secret") {
				t.Errorf("%s %s without a credential: %d %.100s", method, path, got.status, got.body)
			}
		}
	}
	for _, path := range []string{"/internal//logs", "/internal/./logs", "/%69nternal/logs", "/api/internal/logs", "/internal/logs/", "/Internal/Logs", "/api/auth//keys", "/api/auth/keys/", "/auth/keys", "/api/api/auth/keys"} {
		if got := a.as("ann", "GET", path, ""); got.status == 200 {
			t.Errorf("a user reaches %s: %.100s", path, got.body)
		}
	}
	for _, request := range []string{"GET /api/auth/keys", "POST /api/v1/queue/pause"} {
		method, path, _ := strings.Cut(request, " ")
		if got := a.as("ann", "GET", path, "", "X-HTTP-Method-Override", method, "X-Method-Override", method); got.status == 200 {
			t.Errorf("a user reaches %s by overriding the method: %s", request, got.body)
		}
	}
}

// forged is a token with a header and claims of the attacker's choice, signed as sign says.
func forged(header, claims map[string]any, sign func(text string) []byte) string {
	part := func(v any) string {
		data, _ := json.Marshal(v)
		return base64.RawURLEncoding.EncodeToString(data)
	}
	text := part(header) + "." + part(claims)
	return text + "." + base64.RawURLEncoding.EncodeToString(sign(text))
}

// TestForgedTokens makes forged tokens: without a signature, with another algorithm, with the key store's public key as a
// secret, from the past and the future, and one with changed claims.
func TestForgedTokens(t *testing.T) {
	t.Parallel()
	a := startAuth(t, nil, nil)
	good := a.token("ann")
	parts := strings.Split(good, ".")
	decode := func(part string) map[string]any {
		data, err := base64.RawURLEncoding.DecodeString(part)
		var v map[string]any
		if err == nil {
			err = json.Unmarshal(data, &v)
		}
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	header, claims := decode(parts[0]), decode(parts[1])
	with := func(m map[string]any, pairs ...any) map[string]any {
		out := map[string]any{}
		for k, v := range m {
			out[k] = v
		}
		for i := 0; i < len(pairs); i += 2 {
			out[pairs[i].(string)] = pairs[i+1]
		}
		return out
	}
	none := func(string) []byte { return nil }
	hs := func(secret string) func(string) []byte {
		return func(text string) []byte {
			m := hmac.New(sha256.New, []byte(secret))
			m.Write([]byte(text))
			return m.Sum(nil)
		}
	}
	now := time.Now().Unix()
	kid, _ := header["kid"].(string)
	for name, token := range map[string]string{
		"alg none":           forged(with(header, "alg", "none"), claims, none),
		"alg None":           forged(with(header, "alg", "None"), claims, none),
		"alg none, no kid":   forged(map[string]any{"alg": "none", "typ": "JWT"}, claims, none),
		"no signature":       parts[0] + "." + parts[1] + ".",
		"HS256, empty key":   forged(with(header, "alg", "HS256"), claims, hs("")),
		"HS256 by the kid":   forged(with(header, "alg", "HS256"), claims, hs(kid)),
		"HS256 by ann's key": forged(with(header, "alg", "HS256"), claims, hs(a.keys["ann"].Secret)),
		"jwk in the header":  forged(with(header, "jwk", map[string]any{"kty": "oct", "k": "AAAA"}, "alg", "HS256"), claims, hs("\x00\x00\x00")),
		"kid of a path":      forged(with(header, "kid", "../../dev/null"), claims, hs("")),
		"kid with SQL":       forged(with(header, "kid", "x' OR '1'='1"), claims, hs("")),
		"other claims":       parts[0] + "." + strings.Split(forged(header, with(claims, "role", "Administrator", "sub", a.users["root"].ID), none), ".")[1] + "." + parts[2],
		"never expires":      forged(header, with(claims, "exp", now+1e9), none),
		"changed signature":  parts[0] + "." + parts[1] + "." + strings.Repeat("A", len(parts[2])),
		"only dots":          "..",
		"four parts":         good + ".x",
		"white space inside": parts[0] + " ." + parts[1] + "." + parts[2],
	} {
		for _, path := range []string{"/queue", "/api/auth/keys"} {
			if got := a.do("GET", path, "", "Authorization", "Bearer "+token); got.status != 401 {
				t.Errorf("%s: %d %s", name, got.status, got.body)
			}
		}
	}
	if got := a.do("GET", "/queue", "", "Authorization", "Bearer "+good); got.status != 200 {
		t.Errorf("the good token: %d", got.status)
	}
	a.clock.Store(int64(16 * time.Minute))
	if got := a.do("GET", "/queue", "", "Authorization", "Bearer "+good); got.status != 401 {
		t.Errorf("the token after its time: %d", got.status)
	}
	a.clock.Store(int64(time.Hour))
	future := a.token("ann")
	a.clock.Store(0)
	if got := a.do("GET", "/queue", "", "Authorization", "Bearer "+future); got.status != 200 { // the clock was set back: the token is ours, and ends when it says
		t.Errorf("a token from before the clock was set back: %d", got.status)
	}
	a.as("root", "DELETE", "/api/auth/keys/"+a.keys["ann"].ID, "")
	if got := a.do("GET", "/queue", "", "Authorization", "Bearer "+good); got.status != 401 {
		t.Errorf("the token of a revoked key: %d", got.status)
	}
	if got := a.do("POST", "/api/auth/token", "", "Authorization", "Bearer "+a.token("bob")); got.status != 403 {
		t.Errorf("a token was changed for a new one: %d", got.status)
	}
}

// TestOddCredentials sends malformed and oversized credentials.
func TestOddCredentials(t *testing.T) {
	t.Parallel()
	a := startAuth(t, nil, nil)
	key := a.keys["ann"].Secret
	for name, headers := range map[string][]string{
		"a key of 32 KB":         {"X-API-Key", strings.Repeat("k", 32<<10)},
		"a token of 32 KB":       {"Authorization", "Bearer " + strings.Repeat("a.", 16<<10)},
		"SQL":                    {"X-API-Key", "' OR 1=1; DROP TABLE keys; --"},
		"SQL in the public part": {"X-API-Key", "cgo_x' OR '1'='1_" + strings.Repeat("A", 43)},
		"the public part":        {"X-API-Key", "cgo_" + a.keys["ann"].ID},
		"the mask":               {"X-API-Key", a.keys["ann"].Mask},
		"the key cut":            {"X-API-Key", key[:len(key)-1]},
		"the key and more":       {"X-API-Key", key + "x"},
		"in other letters":       {"X-API-Key", strings.ToUpper(key)},
		"a session id":           {"Cookie", "comfygo_session=" + a.keys["ann"].ID, "Origin", a.url},
		"a user's name":          {"X-Forwarded-User", "root"},
	} {
		if got := a.do("GET", "/queue", "", headers...); got.status != 401 && got.status != 400 {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), "GET", a.url+"/queue", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-API-Key", strings.Repeat("k", 1<<20))
	if resp, err := http.DefaultClient.Do(req); err == nil {
		_ = resp.Body.Close()
		if resp.StatusCode < 400 {
			t.Errorf("a key of 1 MB: %d", resp.StatusCode)
		}
	}
	a.wants("ann", "GET /queue", "", 200, "")
	a.wants("root", "GET /api/auth/keys", "", 200, a.keys["ann"].ID)
}

// TestNamesWithSQL makes records with names that are SQL statements; they stay names.
func TestNamesWithSQL(t *testing.T) {
	t.Parallel()
	a := startAuth(t, nil, nil)
	const name = `'; DROP TABLE users; --`
	text, _ := json.Marshal(name)
	a.wants("root", "POST /api/auth/users", `{"name": `+string(text)+`, "role": "User"}`, 201, "DROP TABLE")
	a.wants("root", "POST /api/auth/keys", `{"name": `+string(text)+`, "user": `+string(text)+`}`, 201, "DROP TABLE")
	a.wants("root", "GET /api/auth/users/%27%20OR%201=1%20--", "", 404, "")
	a.wants("root", "GET /api/auth/audit?text=%27%20OR%201=1%20--", "", 200, `"events":[]`)
	a.wants("root", "GET /queue?owner=%27%20OR%20%27%27=%27", "", 200, `"queue_pending": []`)
	a.wants("root", "GET /api/auth/users", "", 200, "vera")
}

// logLines is a log that tests read.
type logLines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestNoSecretIsWrittenDown shows keys in every way and looks for them in the log, the audit log and the answers, and
// for lines that a newline in a credential or a path would have forged.
func TestNoSecretIsWrittenDown(t *testing.T) {
	t.Parallel()
	lines := &logLines{}
	log := slog.New(slog.NewTextHandler(lines, &slog.HandlerOptions{Level: slog.LevelDebug}))
	a := startAuth(t, func(o *auth.StoreOptions) { o.Logger = log }, func(c *server.Config) { c.Logger = log })
	secret, token, cookie := a.keys["ann"].Secret, a.token("ann"), a.cookie("ann")
	const wrong = "a-wrong-key-that-nobody-may-read"
	for _, headers := range [][]string{
		{"X-API-Key", secret},
		{"Authorization", "Bearer " + token},
		{"Cookie", cookie, "Origin", a.url},
		{"X-API-Key", wrong},
		{"Authorization", "Bearer " + wrong},
	} {
		for _, path := range []string{"/queue", "/internal/logs", "/no/such%0aaudit%20action=forged", "/prompt?owner=x%0aaudit+action=forged"} {
			a.do("GET", path, "", headers...)
			a.do("POST", path, "{", headers...)
		}
	}
	for _, value := range []string{secret, wrong, token} {
		a.do("GET", "/queue?api_key="+value+"&x=1", "")
		a.do("GET", "/ws?token="+value, "")
		a.do("GET", "/system_stats?api%5Fkey="+value, "")
	}
	a.do("POST", "/login", `{"key": "`+wrong+`"}`, "Content-Type", "application/json")
	id := a.put("ann", `{"prompt": `+graphOf(1)+`}`)
	a.until("the job", func() bool { return a.as("ann", "GET", "/history/"+id, "").body != "{}" })
	seen := map[string]string{
		"the log": lines.String(), "the audit log": a.as("root", "GET", "/api/auth/audit?limit=1000", "").body,
		"history": a.as("root", "GET", "/history", "").body, "stats": a.as("root", "GET", "/system_stats", "").body,
		"keys": a.as("root", "GET", "/api/auth/keys", "").body, "sessions": a.as("root", "GET", "/api/auth/sessions", "").body,
		"jobs": a.as("root", "GET", "/api/jobs", "").body,
	}
	_, session, _ := strings.Cut(cookie, "=")
	for where, text := range seen {
		for name, value := range map[string]string{"key": secret, "token": token, "session": session, "wrong key": wrong} {
			if strings.Contains(text, value) {
				t.Errorf("%s holds the %s", where, name)
			}
		}
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "audit action=forged") {
				t.Errorf("%s has a forged line: %s", where, line)
			}
		}
	}
	if !strings.Contains(lines.String(), "api_key=***") {
		t.Error("the request log does not show that there was a key")
	}
	if !strings.Contains(seen["the audit log"], `"action":"run"`) || !strings.Contains(seen["the audit log"], `"action":"request","result":"denied"`) {
		t.Errorf("the audit log lacks the run or what was denied: %.600s", seen["the audit log"])
	}
}

// TestBruteForce tries keys until the address is locked out; a key that was seen to be valid still works.
func TestBruteForce(t *testing.T) {
	t.Parallel()
	a := startAuth(t, func(o *auth.StoreOptions) { o.LockOut = auth.LockOut{} }, nil)
	a.wants("ann", "GET /queue", "", 200, "")
	refused := 0
	for range 200 {
		got := a.do("GET", "/queue", "", "X-API-Key", "cgo_0123456789ab_"+strings.Repeat("A", 43))
		if got.status == 429 {
			refused++
			if got.header.Get("Retry-After") == "" {
				t.Fatal("429 without Retry-After")
			}
		}
	}
	if refused < 150 {
		t.Errorf("of 200 tries only %d were refused to be looked at", refused)
	}
	a.wants("ann", "GET /queue", "", 200, "")
	if got := a.do("POST", "/login", `{"key": "nonsense"}`, "Content-Type", "application/json"); got.status != 429 {
		t.Errorf("signing in from the address: %d", got.status)
	}
	if got := a.do("GET", "/health", "", "X-API-Key", "nonsense"); got.status != 200 {
		t.Errorf("what is open stays open: %d", got.status)
	}
}

// TestTimingTellsNothing compares the times for wrong keys: one with an existing public part and one without. The
// difference of the medians has to be within the noise, which is the difference of medians of the same kind.
func TestTimingTellsNothing(t *testing.T) {
	t.Parallel()
	keys, err := auth.NewKeys([]string{theKey}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ring := auth.NewKeyring(keys, auth.KeyringOptions{})
	guess := func(secret string) time.Duration {
		begun := time.Now()
		if _, err := ring.Authenticate(context.Background(), auth.Credential{Source: auth.SourceHeader, Secret: secret}); err == nil {
			t.Fatal("a wrong key is good")
		}
		return time.Since(begun)
	}
	near, far := theKey[:len(theKey)-1]+"X", strings.Repeat("X", len(theKey))
	const tries = 10000
	times := map[string][]time.Duration{}
	for range tries {
		times["near"] = append(times["near"], guess(near))
		times["far"] = append(times["far"], guess(far))
		times["far again"] = append(times["far again"], guess(far))
	}
	median := func(name string) time.Duration {
		slices.Sort(times[name])
		return times[name][tries/2]
	}
	noise := max((median("far") - median("far again")).Abs(), 2*time.Microsecond)
	if d := (median("near") - median("far")).Abs(); d > 5*noise {
		t.Errorf("a key that is nearly right takes %s longer or shorter than one that is all wrong; the noise is %s", d, noise)
	}
}

// TestRevokedInFlight revokes a key while a hundred requests and sockets use it: none that begins afterwards gets in, and
// nothing of it is left in the queue.
func TestRevokedInFlight(t *testing.T) {
	t.Parallel()
	a := startAuth(t, nil, nil)
	var all sync.WaitGroup
	var begin sync.WaitGroup
	begin.Add(1)
	revoked := make(chan struct{})
	for i := range 100 {
		all.Go(func() {
			begin.Wait()
			late := false
			select {
			case <-revoked:
				late = true
			default:
			}
			var got httpReply
			switch i % 3 {
			case 0:
				got = a.as("ann", "POST", "/prompt", `{"prompt": `+fmt.Sprintf(slow, i)+`}`)
			case 1:
				got = a.as("ann", "GET", "/queue", "")
			case 2:
				conn, resp, err := a.open(t, "?api_key="+a.keys["ann"].Secret, nil)
				if err == nil {
					got.status = 101
					if code, _ := closed(t, conn); code != auth.CloseCode {
						t.Errorf("the socket closed with %d", code)
					}
				} else if resp != nil {
					got.status = resp.StatusCode
				}
			}
			// A client that repeatedly sends a refused key is locked out for a while.
			if late && got.status != http.StatusUnauthorized && got.status != http.StatusTooManyRequests {
				t.Errorf("a request that began after the revocation got %d", got.status)
			}
		})
	}
	all.Go(func() {
		begin.Wait()
		if _, err := a.store.RevokeKey(context.Background(), byAdmin, a.keys["ann"].ID); err != nil {
			t.Error(err)
		}
		close(revoked)
	})
	begin.Done()
	all.Wait()
	a.until("the queue is empty", func() bool {
		body := a.as("root", "GET", "/queue?owner="+a.users["ann"].ID, "").body
		return strings.Contains(body, `"queue_running": [], "queue_pending": []`)
	})
}
