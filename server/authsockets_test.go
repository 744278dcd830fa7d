package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"comfygo/auth"
	"comfygo/server"
	"comfygo/server/sockets"
)

// TestSocketHandshake tries every way of showing a credential to the socket, good and bad.
func TestSocketHandshake(t *testing.T) {
	t.Parallel()
	a := startAuth(t, nil, nil)
	key, token, cookie := a.keys["ann"].Secret, a.token("ann"), a.cookie("ann")
	header := func(pairs ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h.Add(pairs[i], pairs[i+1])
		}
		return h
	}
	for name, c := range map[string]struct {
		query     string
		header    http.Header
		protocols []string
		status    int
		answered  string // subprotocol
	}{
		"nothing":            {"", nil, nil, 401, ""},
		"bearer":             {"", header("Authorization", "Bearer "+key), nil, 101, ""},
		"token as bearer":    {"", header("Authorization", "Bearer "+token), nil, 101, ""},
		"header":             {"", header("X-API-Key", key), nil, 101, ""},
		"?token=":            {"?token=" + token, nil, nil, 101, ""},
		"?token= with a key": {"?token=" + key, nil, nil, 101, ""},
		"?api_key=":          {"?api_key=" + key, nil, nil, 101, ""},
		"protocol":           {"", nil, []string{protocol(token)}, 101, protocol(token)},
		"protocol, key":      {"", nil, []string{"other", protocol(key)}, 101, protocol(key)},
		"protocol and plain": {"", nil, []string{protocol(key), "comfygo"}, 101, "comfygo"},
		"cookie":             {"", header("Cookie", cookie, "Origin", a.url), nil, 101, ""},
		"cookie, no origin":  {"", header("Cookie", cookie), nil, 403, ""},
		"cookie, elsewhere":  {"", header("Cookie", cookie, "Origin", "http://evil.example"), nil, 403, ""},
		"revoked":            {"?token=" + a.keys["revoked"].Secret, nil, nil, 401, ""},
		"expired":            {"", header("X-API-Key", a.keys["expired"].Secret), nil, 401, ""},
		"two protocols":      {"", nil, []string{protocol(key), protocol("another")}, 401, ""},
		"a bad protocol":     {"", nil, []string{protocol("nonsense")}, 401, ""},
		"an empty protocol":  {"", nil, []string{protocol("")}, 401, ""},
		"protocol injection": {"", header("Sec-WebSocket-Protocol", protocol(key+"\r\nX-Evil: 1")), nil, 0, ""},
		"protocol with more": {"", nil, []string{protocol(key + "/../admin")}, 401, ""},
		"key and bad token":  {"?token=bad", header("X-API-Key", key), nil, 401, ""},
	} {
		conn, resp, err := a.open(t, c.query, &websocket.DialOptions{HTTPHeader: c.header, Subprotocols: c.protocols})
		status := 0
		if resp != nil {
			status = resp.StatusCode
		}
		if status != c.status || (err == nil) != (c.status == 101) {
			t.Errorf("%s: %d, %v; want %d", name, status, err, c.status)
			continue
		}
		if err == nil && conn.Subprotocol() != c.answered {
			t.Errorf("%s: the server answers the protocol %q, want %q", name, conn.Subprotocol(), c.answered)
		}
		if resp != nil && resp.Header.Get("X-Evil") != "" {
			t.Errorf("%s: the answer has a header of the client's", name)
		}
	}
}

// TestEndedSocketsClose ends credentials in every way there is: their sockets close within a second with 4401, others stay.
func TestEndedSocketsClose(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(t *testing.T, a *authRig) error{
		"revoked": func(t *testing.T, a *authRig) error {
			return outcome(a.as("root", "DELETE", "/api/auth/keys/"+a.keys["ann"].ID, ""))
		},
		"rotated": func(t *testing.T, a *authRig) error {
			return outcome(a.as("root", "POST", "/api/auth/keys/"+a.keys["ann"].ID+"/rotate", ""))
		},
		"user deleted": func(t *testing.T, a *authRig) error {
			return outcome(a.as("root", "DELETE", "/api/auth/users/ann", ""))
		},
		"user disabled": func(t *testing.T, a *authRig) error {
			return outcome(a.as("root", "PATCH", "/api/auth/users/ann", `{"disabled": true}`))
		},
		"by another process": func(t *testing.T, a *authRig) error {
			other, err := auth.OpenStore(t.Context(), auth.StoreOptions{Path: a.store.Path()})
			if err != nil {
				return err
			}
			_, err = other.RevokeKey(t.Context(), byAdmin, a.keys["ann"].ID)
			return errors.Join(err, other.Close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := startAuth(t, nil, nil)
			ann, bob := a.socket(t, "ann", "a"), a.socket(t, "bob", "b")
			a.put("ann", `{"prompt": `+fmt.Sprintf(slow, 1)+`}`)
			a.put("ann", `{"prompt": `+fmt.Sprintf(slow, 2)+`}`)
			mine := a.put("bob", `{"client_id": "b", "prompt": `+graphOf(1)+`}`)
			if err := end(t, a); err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			code, reason := closed(t, ann)
			if took := time.Since(begun); code != auth.CloseCode || reason == "" || took > time.Second*raceFactor {
				t.Errorf("the socket closed with %d %q after %s", code, reason, took)
			}
			a.until("the jobs are cancelled", func() bool {
				return !strings.Contains(a.as("root", "GET", "/queue?owner="+a.users["ann"].ID, "").body, "Wait")
			})
			a.until("bob's job", func() bool { return a.as("bob", "GET", "/history/"+mine, "").body != "{}" })
			for m := ""; m != "executing null"; m = a.next(bob) {
				continue
			}
			if got := a.as("ann", "GET", "/queue", ""); got.status != 401 {
				t.Errorf("afterwards the key gets %d", got.status)
			}
		})
	}
}

func outcome(got httpReply) error {
	if got.status >= 300 {
		return fmt.Errorf("%d %s", got.status, got.body)
	}
	return nil
}

// TestSocketsEndWithTheirRight: a socket lives no longer than the token, key or log-in that opened it.
func TestSocketsEndWithTheirRight(t *testing.T) {
	t.Parallel()
	a := startAuth(t, func(o *auth.StoreOptions) { o.TokenLife = 4 * time.Second }, nil)
	byToken, _, err := a.open(t, "?token="+a.token("ann"), nil)
	if err != nil {
		t.Fatal(err)
	}
	short := a.newKey(t, "ann", 4*time.Second) // the store counts whole seconds
	byKey, _, err := a.open(t, "?api_key="+short.Secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	cookie := a.cookie("ann")
	byCookie, _, err := a.open(t, "", &websocket.DialOptions{HTTPHeader: http.Header{"Cookie": {cookie}, "Origin": {a.url}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := a.do("POST", "/logout", "", "Cookie", cookie, "Origin", a.url); got.status != 204 {
		t.Fatalf("signing out: %d", got.status)
	}
	for name, conn := range map[string]*websocket.Conn{"token": byToken, "key": byKey, "cookie": byCookie} {
		if code, reason := closed(t, conn); code != auth.CloseCode || reason == "" {
			t.Errorf("%s: %d %q", name, code, reason)
		}
	}
}

// TestStreamsEnd: a request that waits for its job, and one that reads events, end with the caller's rights.
func TestStreamsEnd(t *testing.T) {
	t.Parallel()
	a := startAuth(t, nil, nil)
	done := make(chan httpReply, 1)
	go func() { done <- a.as("ann", "POST", "/prompt?wait=60", `{"prompt": `+fmt.Sprintf(slow, 1)+`}`) }()
	a.until("the job", func() bool { return strings.Contains(a.as("root", "GET", "/queue", "").body, "Wait") })
	id := a.put("bob", `{"prompt": `+fmt.Sprintf(slow, 2)+`}`)
	events := make(chan httpReply, 1)
	go func() { events <- a.as("bob", "GET", "/api/v2/jobs/"+id+"/events", "") }()
	time.Sleep(100 * time.Millisecond) // the stream has begun
	if _, err := a.store.RevokeKey(t.Context(), byAdmin, a.keys["bob"].ID); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if _, err := a.store.RevokeKey(t.Context(), byAdmin, a.keys["ann"].ID); err != nil {
		t.Fatal(err)
	}
	<-done
	if got := <-events; got.status != 200 && got.status != 401 {
		t.Errorf("the stream ended with %d %s", got.status, got.body)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("the request went on for %s", took)
	}
}

// TestManySocketsClose has a thousand sockets of one key, and a hundred of another one that stay.
func TestManySocketsClose(t *testing.T) {
	t.Parallel()
	a := startAuth(t, nil, func(c *server.Config) { c.SocketLimits = sockets.Limits{PerAddress: 2000, PerOwner: 2000} })
	const many, others = 1000, 100
	conns := make([]*websocket.Conn, many)
	var dialing sync.WaitGroup
	turn := make(chan struct{}, 50)
	for i := range many + others {
		dialing.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			who := "ann"
			if i >= many {
				who = "bob"
			}
			conn, _, err := a.open(t, "?token="+a.keys[who].Secret, nil)
			if err != nil {
				t.Error(err)
				return
			}
			if i < many {
				conns[i] = conn
			}
		})
	}
	dialing.Wait()
	if t.Failed() {
		return
	}
	var last time.Time
	var lock sync.Mutex
	var reading sync.WaitGroup
	for _, conn := range conns {
		reading.Go(func() {
			code, _ := closed(t, conn)
			lock.Lock()
			defer lock.Unlock()
			if code != auth.CloseCode {
				t.Errorf("closed with %d", code)
			}
			last = time.Now()
		})
	}
	begun := time.Now()
	if _, err := a.store.RevokeKey(context.Background(), byAdmin, a.keys["ann"].ID); err != nil {
		t.Fatal(err)
	}
	reading.Wait()
	took := last.Sub(begun)
	t.Logf("%d sockets were closed within %s", many, took)
	if took > time.Second*raceFactor {
		t.Errorf("closing %d sockets took %s", many, took)
	}
	if got := a.as("root", "GET", "/api/auth/sessions", ""); !strings.Contains(got.body, fmt.Sprintf(`"open":%d`, others)) {
		t.Errorf("the sockets that are left: %s", got.body)
	}
}
