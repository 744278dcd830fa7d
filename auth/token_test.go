package auth_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"comfygo/auth"
)

// parts are a token's header and claims.
func parts(t *testing.T, token string) (header, claims map[string]any) {
	t.Helper()
	for i, to := range []*map[string]any{&header, &claims} {
		data, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[i])
		if err == nil {
			err = json.Unmarshal(data, to)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return header, claims
}

// forge makes a token with a signature of its own.
func forge(t *testing.T, method jwt.SigningMethod, key any, header, claims map[string]any) string {
	t.Helper()
	token := jwt.NewWithClaims(method, jwt.MapClaims(claims))
	for name, v := range header {
		if name != "alg" {
			token.Header[name] = v
		}
	}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func with(claims map[string]any, name string, v any) map[string]any {
	out := map[string]any{}
	for k, old := range claims {
		out[k] = old
	}
	out[name] = v
	if v == nil {
		delete(out, name)
	}
	return out
}

func TestTokens(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{auth.AlgorithmEdDSA, auth.AlgorithmHS256} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			now := newClock()
			s := openStore(t, "", func(o *auth.StoreOptions) { o.Now, o.Algorithm = now.Now, algorithm })
			k := makeKey(t, s, "ursula", auth.RoleUser, 0)
			owner := authenticate(t, s, k.Secret)
			token, err := s.IssueToken(t.Context(), owner)
			if err != nil {
				t.Fatal(err)
			}
			header, claims := parts(t, token.Text)
			if header["alg"] != algorithm || header["kid"] == "" || claims["jti"] != token.ID || claims["sub"] != k.Owner || claims["role"] != auth.RoleUser {
				t.Errorf("header %v, claims %v", header, claims)
			}
			if want := now.Now().Add(15 * time.Minute); !token.Expires.Equal(want) {
				t.Errorf("it ends at %v, want %v", token.Expires, want)
			}
			p := authenticate(t, s, token.Text)
			if p.ID != k.Owner || p.KeyID != k.ID || p.TokenID != token.ID || !p.Expires.Equal(token.Expires) || p.Admin {
				t.Errorf("principal: %+v", p)
			}
			if _, err := s.IssueToken(t.Context(), p); !errors.Is(err, auth.ErrNoTokens) {
				t.Errorf("a token makes a token: %v", err)
			}
			now.add(15 * time.Minute)
			refuse(t, s, bearer(token.Text), auth.ErrExpired)

			fresh, err := s.IssueToken(t.Context(), owner)
			if err != nil {
				t.Fatal(err)
			}
			authenticate(t, s, fresh.Text)
			if _, err := s.RevokeKey(t.Context(), root, k.ID); err != nil {
				t.Fatal(err)
			}
			refuse(t, s, bearer(fresh.Text), auth.ErrRevoked)
			if _, err := s.IssueToken(t.Context(), owner); !errors.Is(err, auth.ErrRevoked) {
				t.Errorf("a token of a revoked key: %v", err)
			}
		})
	}
}

func TestForgedTokens(t *testing.T) {
	t.Parallel()
	now := newClock()
	lenient := func(o *auth.StoreOptions) { o.Now, o.LockOut = now.Now, auth.LockOut{Free: 1000, Failures: 1000} }
	s := openStore(t, "", lenient)
	k := makeKey(t, s, "ursula", auth.RoleUser, 0)
	admin := makeKey(t, s, "ada", auth.RoleAdministrator, 0)
	token, err := s.IssueToken(t.Context(), authenticate(t, s, k.Secret))
	if err != nil {
		t.Fatal(err)
	}
	header, claims := parts(t, token.Text)
	piece := strings.Split(token.Text, ".")
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other := openStore(t, "", lenient)
	foreign, err := other.IssueToken(t.Context(), authenticate(t, other, makeKey(t, other, "ursula", auth.RoleAdministrator, 0).Secret))
	if err != nil {
		t.Fatal(err)
	}
	raise := base64.RawURLEncoding.EncodeToString([]byte(`{"key":"` + admin.ID + `","role":"Administrator"}`))
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"` + header["kid"].(string) + `"}`))
	for name, text := range map[string]string{
		"alg none":            forge(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, header, claims),
		"alg none by hand":    none + "." + piece[1] + ".",
		"alg none, signed":    none + "." + piece[1] + "." + piece[2],
		"HS256, public key":   forge(t, jwt.SigningMethodHS256, []byte(public), header, claims),
		"HS256, empty key":    forge(t, jwt.SigningMethodHS256, []byte{}, header, claims),
		"other Ed25519 key":   forge(t, jwt.SigningMethodEdDSA, crypto.PrivateKey(private), header, claims),
		"unknown kid":         forge(t, jwt.SigningMethodEdDSA, crypto.PrivateKey(private), with(header, "kid", "t-000000000000"), claims),
		"no kid":              forge(t, jwt.SigningMethodEdDSA, crypto.PrivateKey(private), with(header, "kid", nil), claims),
		"kid of another type": forge(t, jwt.SigningMethodEdDSA, crypto.PrivateKey(private), with(header, "kid", 7), claims),
		"embedded key":        forge(t, jwt.SigningMethodEdDSA, crypto.PrivateKey(private), with(header, "jwk", map[string]any{"kty": "OKP", "x": public}), claims),
		"another store's":     foreign.Text,
		"claims exchanged":    piece[0] + "." + raise + "." + piece[2],
		"signature cut":       token.Text[:len(token.Text)-2],
		"signature padded":    token.Text + "==",
		"empty":               "..",
		"no JSON":             "a.b.c",
	} {
		t.Run(name, func(t *testing.T) { refuse(t, s, bearer(text), auth.ErrBadCredential) })
	}
}

// TestClockSetBack: existing tokens stay valid, new ones are issued, and no address is locked out.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	for _, step := range []time.Duration{time.Second, 10 * time.Minute, 5 * time.Hour, 400 * 24 * time.Hour} {
		now := newClock()
		s := openStore(t, "", func(o *auth.StoreOptions) { o.Now = now.Now })
		k := makeKey(t, s, "ursula", auth.RoleUser, 0)
		key := authenticate(t, s, k.Secret)
		before, err := s.IssueToken(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		now.add(-step)
		for range 20 { // more than lock an address
			authenticate(t, s, before.Text)
		}
		after, err := s.IssueToken(t.Context(), key)
		if err != nil {
			t.Fatalf("a token when the clock is %s back: %v", step, err)
		}
		for range 20 {
			authenticate(t, s, after.Text)
		}
		if err := auth.Sweep(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		authenticate(t, s, before.Text) // its signer is kept
		authenticate(t, s, k.Secret)    // the address is not locked
		now.add(step + 10*time.Minute)
		authenticate(t, s, before.Text)
		now.add(10 * time.Minute)
		for range 20 {
			refuse(t, s, bearer(before.Text), auth.ErrExpired)
		}
		authenticate(t, s, k.Secret)
	}
}

// TestLockOutClockSetBack: a lock-out lasts no longer because the clock was set back.
func TestLockOutClockSetBack(t *testing.T) {
	t.Parallel()
	now := newClock()
	s := openStore(t, "", func(o *auth.StoreOptions) {
		o.Now, o.LockOut = now.Now, auth.LockOut{Free: 1, Failures: 2, Locked: time.Minute}
	})
	k := makeKey(t, s, "ursula", auth.RoleUser, 0)
	for n := range 2 {
		_, _ = s.Authenticate(t.Context(), bearer(wrong(k, n)))
	}
	now.add(-time.Hour)
	_, err := s.Authenticate(t.Context(), bearer(wrong(k, 3)))
	var wait *auth.WaitError
	if !errors.As(err, &wait) || wait.After > time.Minute {
		t.Errorf("the address waits by the clock of before: %v", err)
	}
	now.add(61 * time.Second)
	authenticate(t, s, k.Secret)
}

func TestSignersRotate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "auth.db")
	now := newClock()
	s := openStore(t, path, func(o *auth.StoreOptions) { o.Now, o.TokenLife = now.Now, 48*time.Hour })
	k := makeKey(t, s, "ursula", auth.RoleUser, 0)
	issue := func() (string, any) {
		t.Helper()
		token, err := s.IssueToken(t.Context(), authenticate(t, s, k.Secret))
		if err != nil {
			t.Fatal(err)
		}
		header, _ := parts(t, token.Text)
		return token.Text, header["kid"]
	}
	first, kid := issue()
	if _, again := issue(); again != kid {
		t.Error("the signing key changed at once")
	}
	now.add(25 * time.Hour)
	_, next := issue()
	if next == kid {
		t.Error("the signing key did not change after a day")
	}
	authenticate(t, s, first) // still good: signed by the one before
	if err := s.RotateSigner(t.Context(), root); err != nil {
		t.Fatal(err)
	}
	if _, last := issue(); last == next {
		t.Error("the signing key was not rotated")
	}
	last, _ := issue()
	authenticate(t, s, last) // remembered
	hmac := openStore(t, path, func(o *auth.StoreOptions) { o.Now, o.Algorithm = now.Now, auth.AlgorithmHS256 })
	refuse(t, hmac, bearer(first), auth.ErrBadCredential) // only the configured algorithm
	if err := s.EndTokens(t.Context(), root); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Authenticate(t.Context(), bearer(last)); !errors.Is(err, auth.ErrUnauthenticated) {
		t.Errorf("a token after all were ended: %v", err)
	}
	issue()
	if _, err := auth.OpenStore(t.Context(), auth.StoreOptions{Path: path, Algorithm: "none"}); err == nil {
		t.Error("a store signs with none")
	}
}

// TestStolenSigner checks that a stolen signing key is of use no longer than it signs.
func TestStolenSigner(t *testing.T) {
	t.Parallel()
	now := newClock()
	s := openStore(t, "", func(o *auth.StoreOptions) { o.Now = now.Now })
	k := makeKey(t, s, "ursula", auth.RoleUser, 0)
	token, err := s.IssueToken(t.Context(), authenticate(t, s, k.Secret))
	if err != nil {
		t.Fatal(err)
	}
	header, claims := parts(t, token.Text)
	stolen := auth.SignerSecret(s, header["kid"].(string))
	sign := func(issued time.Time, life time.Duration) string {
		c := with(with(claims, "iat", issued.Unix()), "nbf", issued.Unix())
		return forge(t, jwt.SigningMethodEdDSA, stolen, header, with(c, "exp", issued.Add(life).Unix()))
	}
	authenticate(t, s, sign(now.Now(), 15*time.Minute))                                            // cannot be told from a right one
	refuse(t, s, bearer(sign(now.Now(), time.Hour)), auth.ErrBadCredential)                        // lives too long
	refuse(t, s, bearer(sign(now.Now().Add(-time.Minute), time.Minute*10)), auth.ErrBadCredential) // older than its key
	now.add(25 * time.Hour)
	refuse(t, s, bearer(sign(now.Now(), 15*time.Minute)), auth.ErrBadCredential)
}
