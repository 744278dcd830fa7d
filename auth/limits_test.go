package auth_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"comfygo/auth"
)

// wrong returns an invalid key with an existing ID.
func wrong(k auth.Key, n int) string { return fmt.Sprintf("%s%064x", k.Secret[:17], n) }

func TestLockOut(t *testing.T) {
	t.Parallel()
	now := newClock()
	s := openStore(t, "", func(o *auth.StoreOptions) { o.Now = now.Now })
	known := makeKey(t, s, "ursula", auth.RoleUser, 0)
	other := makeKey(t, s, "vera", auth.RoleUser, 0)
	warm := authenticate(t, s, known.Secret)
	token, err := s.IssueToken(t.Context(), warm)
	if err != nil {
		t.Fatal(err)
	}
	try := func(secret string) (time.Duration, error) {
		_, err := s.Authenticate(t.Context(), bearer(secret))
		var wait *auth.WaitError
		if errors.As(err, &wait) {
			return wait.After, err
		}
		return 0, err
	}
	var waits []time.Duration
	for n := range 12 { // each as soon as it may be tried
		wait, err := try(wrong(known, n))
		if wait != 0 {
			waits = append(waits, wait)
			now.add(wait - time.Millisecond)
			if again, _ := try(wrong(known, n)); again == 0 {
				t.Errorf("try %d is looked at too early", n)
			}
			now.add(time.Millisecond)
			wait, err = try(wrong(known, n))
		}
		if wait != 0 || !errors.Is(err, auth.ErrBadCredential) {
			t.Fatalf("try %d: %v", n, err)
		}
	}
	last, _ := try(wrong(known, 100))
	waits = append(waits, last)
	if got, want := fmt.Sprint(waits), "[1s 2s 4s 8s 16s 32s 15m0s]"; got != want {
		t.Errorf("five failures are free, and then one waits %s; want %s", got, want)
	}
	events, err := s.Events(t.Context(), auth.EventFilter{Action: auth.ActionLockOut})
	if err != nil || len(events) != 1 || events[0].Addr != here.String() {
		t.Fatalf("the lock-out in the audit log: %+v, %v", events, err)
	}
	refuseWait := func(what, secret string) {
		t.Helper()
		if wait, err := try(secret); wait == 0 {
			t.Errorf("%s from a locked address: %v", what, err)
		}
	}
	refuseWait("a wrong key", wrong(other, 1))
	refuseWait("an unknown key", "cgo_"+strings.Repeat("0", 12)+"_"+strings.Repeat("1", 64))
	refuseWait("a bad token", "a.b.c")
	if _, err := s.Authenticate(t.Context(), bearer(token.Text)); err != nil {
		t.Errorf("a token from a locked address: %v", err)
	}
	elsewhere := auth.Credential{Source: auth.SourceBearer, Secret: other.Secret, Addr: netip.MustParseAddr("192.0.2.2")}
	if _, err := s.Authenticate(t.Context(), elsewhere); err != nil {
		t.Errorf("a right key from another address: %v", err)
	}
	now.add(16 * time.Minute)
	if _, err := try(other.Secret); err != nil {
		t.Errorf("a right key after the lock-out: %v", err)
	}
}

func TestLockOutNetworks(t *testing.T) {
	t.Parallel()
	now := newClock()
	s := openStore(t, "", func(o *auth.StoreOptions) { o.Now, o.LockOut = now.Now, auth.LockOut{Failures: 3} })
	try := func(addr string, n int) error {
		_, err := s.Authenticate(t.Context(), auth.Credential{Source: auth.SourceHeader, Secret: fmt.Sprintf("guess %d", n), Addr: netip.MustParseAddr(addr)})
		return err
	}
	var wait *auth.WaitError
	for n := range 3 {
		if err := try(fmt.Sprintf("2001:db8::%d", n+1), n); !errors.Is(err, auth.ErrBadCredential) {
			t.Fatal(err)
		}
	}
	for addr, locked := range map[string]bool{"2001:db8::99": true, "2001:db8:0:1::1": false, "192.0.2.9": false} {
		if err := try(addr, 100); errors.As(err, &wait) != locked {
			t.Errorf("%s: %v, want locked: %v", addr, err, locked)
		}
	}
	for n := range 3 {
		_ = try("198.51.100.1", n)
	}
	if err := try("::ffff:198.51.100.1", 7); !errors.As(err, &wait) {
		t.Errorf("the same address in its IPv6 form: %v", err)
	}
}

func TestBuckets(t *testing.T) {
	t.Parallel()
	now := newClock()
	s := openStore(t, "", func(o *auth.StoreOptions) {
		o.Now, o.Address = now.Now, auth.Limits{Requests: 10, RequestsBurst: 20, Prompts: 5, PromptsBurst: 6}
	})
	p := authenticate(t, s, makeKey(t, s, "ursula", auth.RoleUser, 0).Secret)
	same := authenticate(t, s, makeKey(t, s, "ursula", auth.RoleUser, 0).Secret)
	admin := authenticate(t, s, makeKey(t, s, "ada", auth.RoleAdministrator, 0).Secret)
	if _, err := s.SetLimits(t.Context(), root, auth.RoleUser, auth.Limits{Prompts: 1, PromptsBurst: 3}); err != nil {
		t.Fatal(err)
	}
	take := func(b auth.Bucket, p auth.Principal, from string) time.Duration {
		return s.Take(b, p, netip.MustParseAddr(from))
	}
	for n := range 3 {
		who := []auth.Principal{p, same, p}[n] // two keys of a user share the user's bucket
		if d := take(auth.BucketPrompt, who, "192.0.2.1"); d != 0 {
			t.Fatalf("prompt %d has to wait %v", n, d)
		}
	}
	if d := take(auth.BucketPrompt, p, "192.0.2.77"); d != time.Second {
		t.Errorf("the fourth prompt waits %v, want a second, from whichever address", d)
	}
	if d := take(auth.BucketRequest, p, "192.0.2.1"); d != 0 {
		t.Errorf("other requests wait %v", d)
	}
	now.add(time.Second)
	if d := take(auth.BucketPrompt, p, "192.0.2.1"); d != 0 {
		t.Errorf("after a second it waits %v", d)
	}
	for range 100 {
		if d := take(auth.BucketPrompt, admin, "192.0.2.5"); d != 0 {
			t.Fatalf("an administrator waits %v", d)
		}
	}
	waited := 0
	for range 30 {
		if take(auth.BucketRequest, auth.Principal{}, "192.0.2.6") > 0 {
			waited++
		}
	}
	if waited != 10 {
		t.Errorf("%d of 30 anonymous requests of an address had to wait, want 10", waited)
	}
	// What was refused has taken nothing.
	now.add(100 * time.Millisecond)
	if d := take(auth.BucketRequest, auth.Principal{}, "192.0.2.6"); d != 0 {
		t.Errorf("refused requests took from the bucket: %v", d)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	s := openStore(t, "", nil)
	k := makeKey(t, s, "ursula", auth.RoleUser, 0)
	if l := s.Limits(authenticate(t, s, k.Secret)); l.Queued != 100 || l.Megapixels != 64 {
		t.Errorf("a user's limits: %+v", l)
	}
	low, err := s.CreateKey(t.Context(), root, auth.KeySpec{Name: "low", User: "ursula", Role: auth.RoleGuest})
	if err != nil {
		t.Fatal(err)
	}
	if l := s.Limits(authenticate(t, s, low.Secret)); l.Queued != 4 || l.UploadBytes != 20<<20 {
		t.Errorf("the limits of a key below its owner: %+v", l)
	}
	admin := authenticate(t, s, makeKey(t, s, "ada", auth.RoleAdministrator, 0).Secret)
	if l := s.Limits(admin); l != (auth.Limits{}) {
		t.Errorf("an administrator's limits: %+v", l)
	}
	if _, err := s.SetLimits(t.Context(), root, auth.RoleUser, auth.Limits{Queued: -1}); !errors.Is(err, auth.ErrInvalid) {
		t.Errorf("a negative limit: %v", err)
	}
}
