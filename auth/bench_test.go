package auth_test

import (
	"fmt"
	"testing"

	"comfygo/auth"
)

// BenchmarkWarm measures a request whose key, token or session is known: authentication, authorization, and a token from
// each of its buckets.
func BenchmarkWarm(b *testing.B) {
	for _, more := range []int{0, 10000} {
		s := openStore(b, "", nil)
		k := makeKey(b, s, "ursula", auth.RoleUser, 0)
		if err := auth.AddKeys(b.Context(), s, k.Owner, more); err != nil {
			b.Fatal(err)
		}
		if _, err := s.SetLimits(b.Context(), root, auth.RoleUser, auth.Limits{Requests: 1e9, RequestsBurst: 1 << 30}); err != nil {
			b.Fatal(err)
		}
		token, err := s.IssueToken(b.Context(), authenticate(b, s, k.Secret))
		if err != nil {
			b.Fatal(err)
		}
		session, err := s.Login(b.Context(), bearer(k.Secret))
		if err != nil {
			b.Fatal(err)
		}
		for name, c := range map[string]auth.Credential{
			"key": bearer(k.Secret), "token": bearer(token.Text),
			"session": {Source: auth.SourceCookie, Secret: session.Secret, Addr: here},
		} {
			b.Run(fmt.Sprintf("%s/%d", name, more+1), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					p, err := s.Authenticate(b.Context(), c)
					if err == nil {
						err = s.Allow(p, auth.Access{Method: "GET", Route: "/api/history/:prompt_id"})
					}
					s.Take(auth.BucketRequest, p, here)
					if err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkCold measures the first request of a key.
func BenchmarkCold(b *testing.B) {
	s := openStore(b, "", func(o *auth.StoreOptions) {
		o.Hash, o.LockOut = auth.DefaultHash, auth.LockOut{Free: 1 << 40, Failures: 1 << 40}
	})
	k := makeKey(b, s, "ursula", auth.RoleUser, 0)
	n := 0
	for b.Loop() {
		n++
		if _, err := s.Authenticate(b.Context(), bearer(wrong(k, n))); err == nil {
			b.Fatal("a wrong key is right")
		}
	}
}

// BenchmarkReload measures a change for a process with 10,000 keys.
func BenchmarkReload(b *testing.B) {
	s := openStore(b, "", nil)
	k := makeKey(b, s, "ursula", auth.RoleUser, 0)
	if err := auth.AddKeys(b.Context(), s, k.Owner, 10000); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.SetLimits(b.Context(), root, auth.RoleUser, auth.Limits{Queued: 5}); err != nil {
			b.Fatal(err)
		}
	}
}
