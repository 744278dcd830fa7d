package auth_test

import (
	"errors"
	"strings"
	"testing"

	"comfygo/auth"
)

// FuzzAuthenticate checks that only the key itself authenticates, and that untrusted credentials cause no internal error.
func FuzzAuthenticate(f *testing.F) {
	s := openStore(f, "", func(o *auth.StoreOptions) { o.LockOut = auth.LockOut{Free: 1 << 40, Failures: 1 << 40} })
	k := makeKey(f, s, "ursula", auth.RoleUser, 0)
	token, err := s.IssueToken(f.Context(), authenticate(f, s, k.Secret))
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{"", "cgo_", k.Mask, strings.ToUpper(k.Secret), k.Secret + " ", "..", "e30.e30.", token.Text + ".", token.Text[:40], "\x00", "ürsula"} {
		for _, from := range []auth.Source{auth.SourceBearer, auth.SourceCookie, auth.SourceProxy, "other"} {
			f.Add(string(from), text)
		}
	}
	f.Fuzz(func(t *testing.T, from, text string) {
		p, err := s.Authenticate(t.Context(), auth.Credential{Source: auth.Source(from), Secret: text, Addr: here})
		switch {
		case err == nil && text != k.Secret && text != token.Text:
			t.Fatalf("%q by %q is %+v", text, from, p)
		case err != nil && (!errors.Is(err, auth.ErrUnauthenticated) || !p.Anonymous()):
			t.Fatalf("%q by %q: %+v, %v", text, from, p, err)
		}
	})
}
