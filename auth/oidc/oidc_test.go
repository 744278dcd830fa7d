package oidc_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"comfygo/auth"
	"comfygo/auth/oidc"
)

const callback = "https://comfy.example/api/auth/oidc/callback"

// issuer is an identity provider of the test. It keeps to OpenID Connect, but for what a test changes.
type issuer struct {
	*httptest.Server
	key    *rsa.PrivateKey
	claims func(jwt.MapClaims)         // changes what it says of the user
	sign   func(*jwt.Token) (any, any) // method and key other than its own
	mu     sync.Mutex
	codes  map[string]url.Values // code to what the browser brought
	down   bool
}

// issuerKey is made once: each takes a while.
var issuerKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := issuerKey()
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{key: key, codes: map[string]url.Values{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		if i.down {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		reply(w, map[string]any{
			"issuer": i.URL, "authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token", "jwks_uri": i.URL + "/keys",
			"id_token_signing_alg_values_supported": []string{"RS256"},
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, map[string]any{"keys": []any{map[string]any{
			"kty": "RSA", "kid": "1", "alg": "RS256", "use": "sig",
			"n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()),
			"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes()),
		}}})
	})
	mux.HandleFunc("POST /token", i.token)
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	return i
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// authorize plays the user who logs in at the provider: it returns the code for the redirect.
func (i *issuer) authorize(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" || q.Get("code_challenge") == "" || q.Get("nonce") == "" ||
		q.Get("state") == "" || q.Get("redirect_uri") != callback || q.Get("client_id") != "comfygo" || !strings.Contains(q.Get("scope"), "openid") {
		t.Fatalf("the browser is sent to %s", address)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	code := "code-" + q.Get("state")
	i.codes[code] = q
	return code
}

func (i *issuer) token(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	asked, ok := i.codes[r.FormValue("code")]
	delete(i.codes, r.FormValue("code"))
	i.mu.Unlock()
	proof := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	id, secret, _ := r.BasicAuth()
	secret, _ = url.QueryUnescape(secret) // RFC 6749, 2.3.1
	if !ok || base64.RawURLEncoding.EncodeToString(proof[:]) != asked.Get("code_challenge") || id != "comfygo" || secret != "the secret" || r.FormValue("redirect_uri") != callback {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		reply(w, map[string]any{"error": "invalid_grant"})
		return
	}
	claims := jwt.MapClaims{
		"iss": i.URL, "sub": "42", "aud": "comfygo", "nonce": asked.Get("nonce"), "preferred_username": "ursula",
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
		"realm_access": map[string]any{"roles": []any{"offline", "painters"}},
	}
	if i.claims != nil {
		i.claims(claims)
	}
	method, key := jwt.SigningMethod(jwt.SigningMethodRS256), any(i.key)
	unsigned := jwt.NewWithClaims(method, claims)
	if i.sign != nil {
		m, k := i.sign(unsigned)
		key = k
		unsigned = jwt.NewWithClaims(m.(jwt.SigningMethod), claims)
	}
	unsigned.Header["kid"] = "1"
	text, err := unsigned.SignedString(key)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	reply(w, map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": text})
}

func provider(t *testing.T, i *issuer, change func(*oidc.Config)) *oidc.Provider {
	t.Helper()
	cfg := oidc.Config{
		Issuer: i.URL, ClientID: "comfygo", ClientSecret: "the secret", RedirectURL: callback, RoleClaim: "realm_access.roles",
		Roles: []oidc.RoleFor{{Claim: "chiefs", Role: auth.RoleAdministrator}, {Claim: "painters", Role: auth.RoleUser}},
	}
	if change != nil {
		change(&cfg)
	}
	p, err := oidc.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestLogin(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	p := provider(t, i, nil)
	address, state, err := p.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	code := i.authorize(t, address)
	who, err := p.Finish(t.Context(), state, code)
	if want := (auth.Identity{Subject: i.URL + "#42", Name: "ursula", Role: auth.RoleUser}); err != nil || who != want {
		t.Errorf("%+v, %v; want %+v", who, err, want)
	}
	if _, err := p.Finish(t.Context(), state, code); !errors.Is(err, auth.ErrBadCredential) {
		t.Errorf("the same state again: %v", err)
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		claim string
		value any
		want  string
	}{
		"first that fits": {"groups", []any{"painters", "chiefs"}, auth.RoleAdministrator},
		"one text":        {"groups", "painters", auth.RoleUser},
		"none":            {"groups", []any{"others", 7, nil}, ""},
		"no claim":        {"nothing", nil, ""},
		"name with dots":  {"https://comfy.example/groups", "painters", auth.RoleUser},
		"role's own name": {"groups", []any{auth.RoleAdministrator}, ""},
		"a part of it":    {"groups", "painters,chiefs", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			i.claims = func(m jwt.MapClaims) {
				if c.value != nil {
					m[c.claim] = c.value
				}
			}
			p := provider(t, i, func(cfg *oidc.Config) { cfg.RoleClaim = c.claim })
			address, state, err := p.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			who, err := p.Finish(t.Context(), state, i.authorize(t, address))
			if err != nil || who.Role != c.want {
				t.Errorf("%+v, %v; want the role %q", who, err, c.want)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	foreign, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	set := func(name string, v any) func(*issuer) {
		return func(i *issuer) { i.claims = func(m jwt.MapClaims) { m[name] = v } }
	}
	for name, change := range map[string]func(*issuer){
		"another's nonce":    set("nonce", "x"),
		"no nonce":           set("nonce", ""),
		"another's audience": set("aud", "other"),
		"another issuer":     set("iss", "https://evil.example"),
		"expired":            set("exp", time.Now().Add(-time.Hour).Unix()),
		"no subject":         set("sub", nil),
		"an empty subject":   set("sub", ""),
		"a number as sub":    set("sub", 42),
		"a long subject":     set("sub", strings.Repeat("4", 256)),
		"azp of another":     set("azp", "other"),
		"an empty azp":       set("azp", ""),
		"azp is a list":      set("azp", []string{"comfygo"}),
		"audiences, no azp":  set("aud", []string{"comfygo", "other"}),
		"audiences, not us":  set("aud", []string{"one", "other"}),
		"audiences, foreign azp": func(i *issuer) {
			i.claims = func(m jwt.MapClaims) { m["aud"], m["azp"] = []string{"comfygo", "other"}, "other" }
		},
		"no iat":           set("iat", nil),
		"iat to come":      set("iat", time.Now().Add(time.Hour).Unix()),
		"iat long ago":     set("iat", time.Now().Add(-48*time.Hour).Unix()),
		"no exp":           set("exp", nil),
		"not before later": set("nbf", time.Now().Add(time.Hour).Unix()),
		"no issuer":        set("iss", nil),
		"foreign at_hash":  set("at_hash", "AAAAAAAAAAAAAAAAAAAAAA"),
		"no audience":      set("aud", nil),
		"not signed": func(i *issuer) {
			i.sign = func(*jwt.Token) (any, any) { return jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType }
		},
		"signed by another key": func(i *issuer) {
			i.sign = func(*jwt.Token) (any, any) { return jwt.SigningMethodRS256, foreign }
		},
		"signed with the secret": func(i *issuer) {
			i.sign = func(*jwt.Token) (any, any) { return jwt.SigningMethodHS256, []byte("the secret") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			change(i)
			p := provider(t, i, nil)
			address, state, err := p.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if who, err := p.Finish(t.Context(), state, i.authorize(t, address)); !errors.Is(err, auth.ErrBadCredential) {
				t.Errorf("%+v, %v", who, err)
			}
		})
	}
}

// TestAccepted: what OpenID Connect Core 3.1.3.7 lets pass.
func TestAccepted(t *testing.T) {
	t.Parallel()
	hash := sha256.Sum256([]byte("x")) // the access token
	for name, change := range map[string]func(jwt.MapClaims){
		"azp is this client":     func(m jwt.MapClaims) { m["azp"] = "comfygo" },
		"audiences with azp":     func(m jwt.MapClaims) { m["aud"], m["azp"] = []string{"comfygo", "other"}, "comfygo" },
		"one audience in a list": func(m jwt.MapClaims) { m["aud"] = []string{"comfygo"} },
		"at_hash of the token":   func(m jwt.MapClaims) { m["at_hash"] = base64.RawURLEncoding.EncodeToString(hash[:16]) },
		"a clock that is ahead":  func(m jwt.MapClaims) { m["iat"] = time.Now().Add(2 * time.Minute).Unix() },
		"the longest subject":    func(m jwt.MapClaims) { m["sub"] = strings.Repeat("4", 255) },
		"undefined claims":       func(m jwt.MapClaims) { m["acr"], m["x"] = "0", nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			i.claims = change
			p := provider(t, i, nil)
			address, state, err := p.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if who, err := p.Finish(t.Context(), state, i.authorize(t, address)); err != nil || who.Subject == "" {
				t.Errorf("%+v, %v", who, err)
			}
		})
	}
}

func TestStates(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	now := time.Now()
	p := provider(t, i, func(cfg *oidc.Config) { cfg.Now = func() time.Time { return now } })
	address, state, err := p.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	code := i.authorize(t, address)
	other, otherState, err := p.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string][2]string{
		"no state": {"", code}, "made up": {"x", code},
		"another's code": {otherState, code}, // PKCE: the code belongs to another verifier
	} {
		if who, err := p.Finish(t.Context(), try[0], try[1]); !errors.Is(err, auth.ErrBadCredential) {
			t.Errorf("%s: %+v, %v", name, who, err)
		}
	}
	if other == address {
		t.Error("two log-ins are sent to the same address")
	}
	now = now.Add(11 * time.Minute)
	if who, err := p.Finish(t.Context(), state, code); !errors.Is(err, auth.ErrBadCredential) {
		t.Errorf("after eleven minutes: %+v, %v", who, err)
	}
}

func TestProviderIsDown(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	i.down = true
	p := provider(t, i, nil) // the server starts without it
	if _, _, err := p.Begin(t.Context()); err == nil || errors.Is(err, auth.ErrUnauthenticated) {
		t.Errorf("while it is down: %v", err)
	}
	i.down = false
	if _, _, err := p.Begin(t.Context()); err != nil {
		t.Errorf("when it is up again: %v", err)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	good := oidc.Config{Issuer: "https://id.example", ClientID: "comfygo", RedirectURL: callback}
	for name, change := range map[string]func(*oidc.Config){
		"no issuer":         func(c *oidc.Config) { c.Issuer = "" },
		"no client":         func(c *oidc.Config) { c.ClientID = "" },
		"issuer in clear":   func(c *oidc.Config) { c.Issuer = "http://id.example" },
		"no way back":       func(c *oidc.Config) { c.RedirectURL = "" },
		"way back in clear": func(c *oidc.Config) { c.RedirectURL = "http://comfy.example/x" },
		"other scheme":      func(c *oidc.Config) { c.RedirectURL = "javascript:alert(1)" },
		"user in it":        func(c *oidc.Config) { c.Issuer = "https://a:b@id.example" },
	} {
		cfg := good
		change(&cfg)
		if _, err := oidc.New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for _, address := range []string{"http://127.0.0.1:8188/x", "http://[::1]:8188/x", "http://localhost/x", callback} {
		cfg := good
		cfg.RedirectURL = address
		if _, err := oidc.New(cfg); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}
