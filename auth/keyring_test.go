package auth_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comfygo/auth"
)

func writeFile(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask is
		t.Fatal(err)
	}
}

func TestKeyring(t *testing.T) {
	t.Parallel()
	now := newClock()
	file := filepath.Join(t.TempDir(), "keys")
	writeFile(t, file, "a-key-from-the-file-1\n a-key-from-the-file-2 \r\n", 0o600)
	keys, err := auth.NewKeys([]string{"a-key-from-the-flag"}, []string{file})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	g := auth.NewKeyring(keys, auth.KeyringOptions{Now: now.Now, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for _, key := range []string{"a-key-from-the-flag", "a-key-from-the-file-1", "a-key-from-the-file-2"} {
		for _, from := range []auth.Source{auth.SourceBearer, auth.SourceHeader, auth.SourceQuery, auth.SourceProtocol} {
			p, err := g.Authenticate(t.Context(), auth.Credential{Source: from, Secret: key, Addr: here})
			if err != nil || !p.Admin || p.ID != "" || p.KeyID == "" || strings.Contains(key, p.KeyID) {
				t.Errorf("%s by %s: %+v, %v", key, from, p, err)
			}
		}
	}
	refuse(t, g, bearer("a-key-from-the-fla"), auth.ErrBadCredential)
	refuse(t, g, bearer(strings.Repeat("k", 1<<20)), auth.ErrBadCredential)
	refuse(t, g, auth.Credential{}, auth.ErrNoCredential)
	refuse(t, g, auth.Credential{Source: auth.SourceProxy, Secret: "ada", Addr: here}, auth.ErrUntrustedProxy)
	if strings.Contains(log.String(), "a-key-from") {
		t.Errorf("a key is in the log: %s", &log)
	}
	if d := g.Take(auth.BucketPrompt, auth.Principal{}, here); d != 0 {
		t.Errorf("a plain list of keys limits to %v", d)
	}
	if _, err := g.IssueToken(t.Context(), authenticate(t, g, "a-key-from-the-flag")); !errors.Is(err, auth.ErrNoTokens) {
		t.Errorf("a token of a plain key: %v", err)
	}
}

func TestKeyringAllow(t *testing.T) {
	t.Parallel()
	keys, err := auth.NewKeys([]string{"a-key-from-the-flag"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	g := auth.NewKeyring(keys, auth.KeyringOptions{})
	p := authenticate(t, g, "a-key-from-the-flag")
	for _, c := range []struct {
		method, route string
		open          bool
	}{
		{"GET", "/", true},
		{"HEAD", "/", true},
		{"GET", "/health", true},
		{"GET", "/ws", true},
		{"GET", "/api/ws", true},
		{"GET", auth.RouteStatic, true},
		{"POST", "/login", true},
		{"POST", "/logout", true},
		{"POST", "/health", false},
		{"POST", "/", false},
		{"GET", "/ready", false},
		{"GET", "/prompt", false},
		{"POST", "/prompt", false},
		{"POST", "/api/prompt", false},
		{"GET", "/api/api/jobs", false},
		{"GET", "/ws/../prompt", false},
		{"GET", "/WS", false},
		{"GET", "/ws/", false},
		{"GET", "/view", false},
	} {
		a := auth.Access{Method: c.method, Route: c.route}
		if err := g.Allow(p, a); err != nil {
			t.Errorf("%s %s with a key: %v", c.method, c.route, err)
		}
		if err := g.Allow(auth.Principal{}, a); (err == nil) != c.open || err != nil && !errors.Is(err, auth.ErrUnauthenticated) {
			t.Errorf("%s %s without a key: %v, open: %v", c.method, c.route, err, c.open)
		}
	}
}

func TestKeyringSessions(t *testing.T) {
	t.Parallel()
	now := newClock()
	file := filepath.Join(t.TempDir(), "keys")
	writeFile(t, file, "the-first-key-there-is\nthe-second-key-there-is\n", 0o600)
	keys, err := auth.NewKeys(nil, []string{file})
	if err != nil {
		t.Fatal(err)
	}
	g := auth.NewKeyring(keys, auth.KeyringOptions{Now: now.Now})
	var ended []auth.Revocation
	defer g.Watch(func(r auth.Revocation) { ended = append(ended, r) })()
	login := func(key string) (auth.Session, auth.Credential) {
		t.Helper()
		s, err := g.Login(t.Context(), bearer(key))
		if err != nil {
			t.Fatal(err)
		}
		return s, auth.Credential{Source: auth.SourceCookie, Secret: s.Secret, Addr: here}
	}
	first, firstCookie := login("the-first-key-there-is")
	_, secondCookie := login("the-second-key-there-is")
	if _, err := g.Login(t.Context(), firstCookie); err == nil {
		t.Log("a cookie may be shown to log in again")
	}
	if _, err := g.Login(t.Context(), bearer("no-key-that-there-is")); !errors.Is(err, auth.ErrBadCredential) {
		t.Errorf("logging in with a wrong key: %v", err)
	}
	p, err := g.Authenticate(t.Context(), firstCookie)
	if err != nil || !p.Admin || p.SessionID != first.Principal.SessionID || p.Expires.IsZero() {
		t.Fatalf("the cookie's principal: %+v, %v", p, err)
	}
	refuse(t, g, bearer(first.Secret), auth.ErrBadCredential) // a cookie is not a key

	writeFile(t, file, "the-first-key-there-is\n", 0o600)
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	refuse(t, g, secondCookie, auth.ErrRevoked)
	if len(ended) != 1 || ended[0].KeyID == "" || !ended[0].CancelJobs || ended[0].Covers(p) {
		t.Errorf("what ended with the key: %+v", ended)
	}
	if _, err := g.Authenticate(t.Context(), firstCookie); err != nil {
		t.Errorf("the session of a key that stayed: %v", err)
	}
	if err := g.Logout(t.Context(), first.Secret); err != nil {
		t.Fatal(err)
	}
	refuse(t, g, firstCookie, auth.ErrBadCredential)
	if _, err := g.Refresh(p); !errors.Is(err, auth.ErrRevoked) {
		t.Errorf("refreshing after the log-out: %v", err)
	}
	if len(ended) != 2 || !ended[1].Covers(p) || ended[1].CancelJobs {
		t.Errorf("what ended with the log-out: %+v", ended)
	}
	_, cookie := login("the-first-key-there-is")
	now.add(8 * 24 * time.Hour)
	refuse(t, g, cookie, auth.ErrExpired)
}

func TestReload(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "keys")
	writeFile(t, file, "the-first-key-there-is\n", 0o600)
	keys, err := auth.NewKeys([]string{"a-key-from-the-flag"}, []string{file})
	if err != nil {
		t.Fatal(err)
	}
	if w := keys.Warnings(); len(w) != 0 {
		t.Errorf("warnings: %q", w)
	}
	writeFile(t, file, "# nothing\n", 0o600)
	if _, err := keys.Reload(); err == nil || !keys.Allow("the-first-key-there-is") {
		t.Errorf("an empty file took the keys away: %v", err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Reload(); err == nil || !strings.Contains(err.Error(), file) || !keys.Allow("the-first-key-there-is") {
		t.Errorf("a missing file took the keys away: %v", err)
	}
	writeFile(t, file, "short\nthe-second-key-there-is\n", 0o644)
	gone, err := keys.Reload()
	if err != nil || len(gone) != 1 || keys.Allow("the-first-key-there-is") || !keys.Allow("the-second-key-there-is") || !keys.Allow("a-key-from-the-flag") {
		t.Errorf("after the change: %q, %v", gone, err)
	}
	warned := strings.Join(keys.Warnings(), "\n")
	if !strings.Contains(warned, "may be read by others (mode 0644)") || !strings.Contains(warned, "line 1 of "+file) || strings.Contains(warned, "short\n") {
		t.Errorf("warnings: %s", warned)
	}
}
