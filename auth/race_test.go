package auth_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"comfygo/auth"
)

// TestRevokeRacesRequests holds that no request which begins after a revocation has returned gets in, while 100 are on
// their way.
func TestRevokeRacesRequests(t *testing.T) {
	t.Parallel()
	s := openStore(t, "", nil)
	for round := range 3 {
		k := makeKey(t, s, "ursula", auth.RoleUser, 0)
		token, err := s.IssueToken(t.Context(), authenticate(t, s, k.Secret))
		if err != nil {
			t.Fatal(err)
		}
		var revoked atomic.Bool
		var late, good, bad atomic.Int64
		begin := make(chan struct{})
		var work sync.WaitGroup
		for n := range 100 {
			secret := k.Secret
			if n%2 == 1 {
				secret = token.Text
			}
			work.Go(func() {
				<-begin
				for {
					after := revoked.Load()
					_, err := s.Authenticate(context.Background(), bearer(secret))
					switch {
					case err == nil && after:
						late.Add(1)
					case err == nil:
						good.Add(1)
					case errors.Is(err, auth.ErrRevoked):
						bad.Add(1)
					default:
						t.Errorf("round %d: %v", round, err)
					}
					if after || err != nil && !errors.Is(err, auth.ErrRevoked) {
						return
					}
				}
			})
		}
		close(begin)
		within(t, 10*time.Second, "requests to pass", func() bool { return good.Load() > 100 })
		if _, err := s.RevokeKey(t.Context(), root, k.ID); err != nil {
			t.Error(err)
		}
		revoked.Store(true)
		work.Wait()
		if late.Load() > 0 || bad.Load() < 100 {
			t.Errorf("round %d: %d requests got in after the revocation, %d were refused", round, late.Load(), bad.Load())
		}
	}
}

// TestEverythingAtOnce has all kinds of changes and questions meet, for the race detector.
func TestEverythingAtOnce(t *testing.T) {
	t.Parallel()
	s := openStore(t, "", func(o *auth.StoreOptions) { o.Poll = time.Millisecond })
	k := makeKey(t, s, "ursula", auth.RoleUser, 0)
	p := authenticate(t, s, k.Secret)
	defer s.Watch(func(r auth.Revocation) { _ = r.Covers(p) })()
	var work sync.WaitGroup
	repeat := func(f func() error) {
		work.Go(func() {
			for range 20 {
				if err := f(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	ctx := t.Context()
	repeat(func() error { _, err := s.Authenticate(ctx, bearer(k.Secret)); return err })
	repeat(func() error { _, err := s.Refresh(p); return err })
	repeat(func() error {
		made, err := s.CreateKey(ctx, root, auth.KeySpec{Name: "k", User: "ursula"})
		if err == nil {
			_, err = s.RevokeKey(ctx, root, made.ID)
		}
		return err
	})
	repeat(func() error {
		v, err := s.Login(ctx, bearer(k.Secret))
		if err == nil {
			err = s.Logout(ctx, v.Secret)
		}
		return err
	})
	repeat(func() error { _, err := s.IssueToken(ctx, p); return err })
	repeat(func() error { return s.Allow(p, auth.Access{Method: "POST", Route: "/prompt"}) })
	repeat(func() error { _, err := s.SetLimits(ctx, root, auth.RoleUser, auth.Limits{Queued: 5}); return err })
	repeat(func() error { s.Take(auth.BucketRequest, p, here); return nil })
	repeat(func() error { s.Audit(ctx, auth.EventOf(p, here, auth.ActionRun, auth.ResultOK, "x", "")); return nil })
	repeat(func() error { _, err := s.Events(ctx, auth.EventFilter{Limit: 5}); return err })
	repeat(func() error { stop := s.Watch(func(auth.Revocation) {}); stop(); return nil })
	repeat(func() error { return s.Err() })
	work.Wait()
}

// TestFloodOfBadKeys holds that a flood costs few Argon2id at a time, and the same bad key none twice.
func TestFloodOfBadKeys(t *testing.T) {
	t.Parallel()
	s := openStore(t, "", func(o *auth.StoreOptions) { o.LockOut = auth.LockOut{Free: 1 << 20, Failures: 1 << 20} })
	k := makeKey(t, s, "ursula", auth.RoleUser, 0)
	before := auth.HashesMade(s)
	for range 100 {
		refuse(t, s, bearer(wrong(k, 1)), auth.ErrBadCredential)
	}
	if n := auth.HashesMade(s) - before; n != 1 {
		t.Errorf("one bad key that is shown 100 times costs %d Argon2id", n)
	}
	before = auth.HashesMade(s)
	for range 100 {
		refuse(t, s, bearer("cgo_0123456789ab_"+strings.Repeat("0", 64)), auth.ErrBadCredential)
		refuse(t, s, bearer(strings.Repeat("x", 1<<20)), auth.ErrBadCredential)
	}
	if n := auth.HashesMade(s) - before; n != 0 {
		t.Errorf("what can be no key costs %d Argon2id", n)
	}
	release := auth.HoldHasher(s)
	var waits, others atomic.Int64
	var work sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	for n := range 200 {
		work.Go(func() {
			_, err := s.Authenticate(ctx, bearer(wrong(k, 100+n)))
			var wait *auth.WaitError
			if errors.As(err, &wait) {
				waits.Add(1)
			} else {
				others.Add(1)
			}
		})
	}
	within(t, 10*time.Second, "those to be sent away for whom there is no room", func() bool { return waits.Load() == 200-64 })
	cancel()
	work.Wait()
	release()
	if others.Load() != 64 {
		t.Errorf("%d waited, %d were sent away", others.Load(), waits.Load())
	}
}

func TestHashesAreRaised(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/auth.db"
	s := openStore(t, path, nil)
	k := makeKey(t, s, "ursula", auth.RoleUser, 0)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	raised := auth.HashParameters{Passes: 2, Memory: 64, Threads: 1}
	s = openStore(t, path, func(o *auth.StoreOptions) { o.Hash = raised })
	authenticate(t, s, k.Secret)
	if got := auth.HashOf(s, k.ID); got != raised {
		t.Errorf("the key is stored with %+v", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, path, nil) // with the low ones again: what is stored beside the key counts
	authenticate(t, s, k.Secret)
	if got := auth.HashOf(s, k.ID); got != raised {
		t.Errorf("the key was weakened to %+v", got)
	}
}

// TestTiming looks for a difference between keys that are wrong at their beginning and at their end. Comparisons are of
// digests, over all keys and by crypto/subtle, so no difference is expected; the bound is wide, since the machine has
// other work, and only a comparison that stops at the first difference of many would exceed it.
func TestTiming(t *testing.T) {
	const rounds, each = 100, 20
	right := strings.Repeat("k", 32<<10) // long, so that stopping early would show
	keys, err := auth.NewKeys([]string{right}, nil)
	if err != nil {
		t.Fatal(err)
	}
	guesses := []string{"x" + right[1:], right[:len(right)-1] + "x"}
	fastest := []float64{math.Inf(1), math.Inf(1)}
	for range rounds / 10 {
		for which, guess := range guesses {
			var times []float64
			for range 10 {
				began := time.Now()
				for range each {
					if keys.Allow(guess) {
						t.Fatal("a wrong key is right")
					}
				}
				times = append(times, float64(time.Since(began)))
			}
			fastest[which] = min(fastest[which], slices.Min(times))
		}
	}
	if ratio := fastest[0] / fastest[1]; ratio < 0.8 || ratio > 1.25 {
		t.Errorf("wrong at the beginning takes %.0f ns, wrong at the end %.0f ns", fastest[0]/each, fastest[1]/each)
	}
}
