package auth_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"comfygo/auth"
)

// clock is a clock that stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

var (
	cheap = auth.HashParameters{Passes: 1, Memory: 8, Threads: 1} // Argon2id's least, so that tests are quick
	here  = netip.MustParseAddr("192.0.2.1")
	root  = auth.CommandLine("test")
)

// openStore opens a store in a folder of the test.
func openStore(t testing.TB, path string, change func(*auth.StoreOptions)) *auth.Store {
	t.Helper()
	o := auth.StoreOptions{Path: path, Hash: cheap, Poll: 10 * time.Millisecond}
	if path == "" {
		o.Path = filepath.Join(t.TempDir(), "auth.db")
	}
	if change != nil {
		change(&o)
	}
	s, err := auth.OpenStore(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// makeKey makes a user, if there is not one of the name, and a key.
func makeKey(t testing.TB, s *auth.Store, user, role string, life time.Duration) auth.Key {
	t.Helper()
	if _, err := s.CreateUser(t.Context(), root, user, role); err != nil && !errors.Is(err, auth.ErrExists) {
		t.Fatal(err)
	}
	k, err := s.CreateKey(t.Context(), root, auth.KeySpec{Name: "key of " + user, User: user, Life: life})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func bearer(secret string) auth.Credential {
	return auth.Credential{Source: auth.SourceBearer, Secret: secret, Addr: here}
}

// authenticate expects a principal.
func authenticate(t testing.TB, g auth.Gate, secret string) auth.Principal {
	t.Helper()
	p, err := g.Authenticate(t.Context(), bearer(secret))
	if err != nil {
		t.Fatalf("authenticating: %v", err)
	}
	return p
}

// refuse expects a refusal.
func refuse(t testing.TB, g auth.Gate, c auth.Credential, want error) {
	t.Helper()
	p, err := g.Authenticate(t.Context(), c)
	if !errors.Is(err, want) || !p.Anonymous() {
		t.Errorf("authenticating by %q: %+v, %v; want %v", c.Source, p, err, want)
	}
}

func TestStoreKeys(t *testing.T) {
	t.Parallel()
	s := openStore(t, "", nil)
	if s.HasAdministrator() {
		t.Error("a new store has an administrator")
	}
	if keys, err := s.Keys(t.Context()); err != nil || len(keys) != 0 {
		t.Errorf("a new store has keys %v, %v", keys, err)
	}
	admin := makeKey(t, s, "ada", auth.RoleAdministrator, 0)
	user := makeKey(t, s, "ursula", auth.RoleUser, 0)
	if !s.HasAdministrator() {
		t.Error("the administrator that was made is not there")
	}
	if p := authenticate(t, s, admin.Secret); !p.Admin || p.Name != "ada" || p.KeyID != admin.ID || p.ID == "" || p.Anonymous() {
		t.Errorf("administrator: %+v", p)
	}
	p := authenticate(t, s, user.Secret)
	if p.Admin || p.Role != auth.RoleUser || p.ID != user.Owner || !p.Owns(user.Owner) || p.Owns(admin.Owner) {
		t.Errorf("user: %+v", p)
	}
	if again, err := s.Key(t.Context(), user.ID); err != nil || again.Secret != "" || again.State != "active" || again.LastUsed == nil {
		t.Errorf("a key that is read again: %+v, %v", again, err)
	}
	flip := []byte(user.Secret)
	flip[len(flip)-1] ^= 1
	for name, c := range map[string]struct {
		cred auth.Credential
		want error
	}{
		"none":        {auth.Credential{}, auth.ErrNoCredential},
		"empty":       {bearer(""), auth.ErrNoCredential},
		"one bit":     {bearer(string(flip)), auth.ErrBadCredential},
		"unknown":     {bearer("cgo_000000000000_" + user.Secret[17:]), auth.ErrBadCredential},
		"upper case":  {bearer("CGO" + user.Secret[3:]), auth.ErrBadCredential},
		"other text":  {bearer("' OR 1=1 --"), auth.ErrBadCredential},
		"no token":    {auth.Credential{Source: auth.SourceQuery, Secret: "a.b.c"}, auth.ErrBadCredential},
		"as a cookie": {auth.Credential{Source: auth.SourceCookie, Secret: user.Secret, Addr: here}, auth.ErrBadCredential},
		"as a name":   {auth.Credential{Source: auth.SourceProxy, Secret: "ada", Addr: here}, auth.ErrUntrustedProxy},
		"a megabyte":  {bearer(string(make([]byte, 1<<20))), auth.ErrBadCredential},
	} {
		t.Run(name, func(t *testing.T) {
			c.cred.Addr = netip.Addr{} // each failure counts; spread them
			if name == "one bit" {
				c.cred.Addr = here
			}
			p, err := s.Authenticate(t.Context(), c.cred)
			var wait *auth.WaitError
			if !errors.Is(err, c.want) && !errors.As(err, &wait) || !p.Anonymous() {
				t.Errorf("%+v, %v; want %v", p, err, c.want)
			}
		})
	}
}

func TestStoreIsKept(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "auth.db")
	s := openStore(t, path, nil)
	k := makeKey(t, s, "ada", auth.RoleAdministrator, 0)
	authenticate(t, s, k.Secret)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, path, nil)
	if p := authenticate(t, s, k.Secret); !p.Admin {
		t.Errorf("after opening again: %+v", p)
	}
	if v, err := s.Key(t.Context(), k.ID); err != nil || v.LastUsed == nil {
		t.Errorf("the last use was not written: %+v, %v", v, err)
	}
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	now := newClock()
	s := openStore(t, "", func(o *auth.StoreOptions) { o.Now = now.Now })
	k := makeKey(t, s, "ursula", auth.RoleUser, time.Hour)
	other := makeKey(t, s, "ursula", auth.RoleUser, 0)
	ended := make(chan auth.Revocation, 8)
	defer s.Watch(func(r auth.Revocation) { ended <- r })()
	p := authenticate(t, s, k.Secret)
	if want := now.Now().Add(time.Hour); !p.Expires.Equal(want) {
		t.Errorf("the principal ends at %v, want %v", p.Expires, want)
	}
	now.add(time.Hour)
	select {
	case r := <-ended:
		if r.KeyID != k.ID || !r.CancelJobs || !r.Covers(p) || r.Covers(authenticate(t, s, other.Secret)) {
			t.Errorf("what ended: %+v", r)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("no message says that the key has expired")
	}
	refuse(t, s, bearer(k.Secret), auth.ErrExpired)
	if _, err := s.Refresh(p); !errors.Is(err, auth.ErrExpired) {
		t.Errorf("refreshing: %v", err)
	}
}

func TestRevocationBetweenProcesses(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "auth.db")
	serving := openStore(t, path, func(o *auth.StoreOptions) { o.Poll = 0 }) // as in use
	shell := openStore(t, path, nil)
	k := makeKey(t, shell, "ursula", auth.RoleUser, 0)
	within(t, time.Second, "the new key to be known", func() bool {
		_, err := serving.Authenticate(context.Background(), bearer(k.Secret))
		return err == nil
	})
	ended := make(chan auth.Revocation, 8)
	defer serving.Watch(func(r auth.Revocation) { ended <- r })()
	began := time.Now()
	if _, err := shell.RevokeKey(t.Context(), root, k.ID); err != nil {
		t.Fatal(err)
	}
	select {
	case r := <-ended:
		if r.KeyID != k.ID || !r.CancelJobs {
			t.Errorf("what ended: %+v", r)
		}
	case <-time.After(time.Second):
		t.Fatal("the revocation of another process is not known after a second")
	}
	t.Logf("known after %v", time.Since(began))
	refuse(t, serving, bearer(k.Secret), auth.ErrRevoked)
}

// within waits until ok, and fails when that takes longer than limit.
func within(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	end := time.Now().Add(limit)
	for !ok() {
		if time.Now().After(end) {
			t.Fatalf("waited %v for %s", limit, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// TestFullDisk checks that authenticated requests go on, that changes fail as a whole, and that all works again with free space.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	s := openStore(t, "", nil)
	k := makeKey(t, s, "ursula", auth.RoleUser, 0)
	if err := auth.LimitFile(t.Context(), s, 1); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 500)
	within(t, 10*time.Second, "the file to be full", func() bool {
		s.Audit(t.Context(), auth.Event{Action: auth.ActionRun, Result: auth.ResultOK, Detail: long, Target: long, Name: long})
		return s.Err() != nil
	})
	authenticate(t, s, k.Secret)
	if _, err := s.CreateUser(t.Context(), root, long[:100], auth.RoleUser); err == nil {
		if _, err := s.User(t.Context(), long[:100]); err != nil {
			t.Errorf("a user who was made is not there: %v", err)
		}
	}
	if err := auth.LimitFile(t.Context(), s, 1<<20); err != nil {
		t.Fatal(err)
	}
	within(t, 10*time.Second, "the file to be well again", func() bool { return s.Err() == nil })
	if _, err := s.RevokeKey(t.Context(), root, k.ID); err != nil {
		t.Error(err)
	}
}

func TestBadFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "text"), []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	newer := filepath.Join(dir, "newer")
	s := openStore(t, newer, nil)
	if err := auth.Exec(t.Context(), s, "PRAGMA user_version = 1000"); err != nil {
		t.Fatal(err)
	}
	for name, says := range map[string]string{"text": "not a database", "newer": "written by a newer comfygo", ".": "opening the key store"} {
		_, err := auth.OpenStore(t.Context(), auth.StoreOptions{Path: filepath.Join(dir, name)})
		if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v, want %q", name, err, says)
		}
	}
}

// TestNewRoutes holds that a file of an older program gets the rules of new routes, and that nothing comes back which an
// administrator took away.
func TestNewRoutes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "auth.db")
	s := openStore(t, path, nil)
	if _, err := s.Ungrant(t.Context(), root, auth.RoleUser, auth.Grant{Method: "GET", Route: "/queue"}); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"DELETE FROM endpoints WHERE route = '/history'", "DELETE FROM grants WHERE route = '/history'"} {
		if err := auth.Exec(t.Context(), s, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, path, nil)
	p := authenticate(t, s, makeKey(t, s, "ursula", auth.RoleUser, 0).Secret)
	if err := s.Allow(p, auth.Access{Method: "GET", Route: "/history"}); err != nil {
		t.Errorf("a new route: %v", err)
	}
	if err := s.Allow(p, auth.Access{Method: "GET", Route: "/queue"}); err == nil {
		t.Error("what was taken away came back")
	}
}
