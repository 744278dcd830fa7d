package server_test

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"comfygo/auth"
	"comfygo/server"
)

// TestTrustedProxy has a proxy name the user: from a trusted network that counts, from others and beside a key it does
// not, and another site's page cannot make use of it.
func TestTrustedProxy(t *testing.T) {
	t.Parallel()
	here := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	for name, c := range map[string]struct {
		from   []netip.Prefix
		header []string
		want   int
	}{
		"ann":                 {here, []string{"X-Forwarded-User", "ann"}, 200},
		"an unknown name":     {here, []string{"X-Forwarded-User", "mallory"}, 401},
		"twice":               {here, []string{"X-Forwarded-User", "ann", "x-forwarded-user", "root"}, 401},
		"not trusted":         {[]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, []string{"X-Forwarded-User", "ann"}, 401},
		"saying it is":        {[]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, []string{"X-Forwarded-User", "ann", "X-Forwarded-For", "10.1.1.1"}, 401},
		"another header":      {here, []string{"Remote-User", "ann"}, 401},
		"another site's page": {here, []string{"X-Forwarded-User", "ann", "Origin", "http://evil.example"}, 403},
		"a bad key beside it": {here, []string{"X-Forwarded-User", "ann", "X-API-Key", "nonsense"}, 401},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := startAuth(t, func(o *auth.StoreOptions) { o.ProxyFrom = c.from }, func(cfg *server.Config) {
				cfg.AuthProxyHeader, cfg.AuthProxies = "X-Forwarded-User", c.from
			})
			req, err := http.NewRequestWithContext(t.Context(), "POST", a.url+"/interrupt", strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i < len(c.header); i += 2 {
				req.Header.Add(c.header[i], c.header[i+1])
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != c.want {
				t.Errorf("%d, want %d", resp.StatusCode, c.want)
			}
		})
	}
}

// provider stands in for an identity provider: it vouches for the bearer of the right code.
type provider struct{ role string }

func (provider) Begin(context.Context) (url, state string, err error) {
	return "https://id.example/authorize?state=the-state", "the-state", nil
}

func (p provider) Finish(_ context.Context, state, code string) (auth.Identity, error) {
	if state != "the-state" || code != "the-code" {
		return auth.Identity{}, errors.New("the code is not valid")
	}
	return auth.Identity{Subject: "https://id.example eve", Name: "eve", Role: p.role}, nil
}

// TestSigningInByAProvider follows a browser to the provider and back.
func TestSigningInByAProvider(t *testing.T) {
	t.Parallel()
	a := startAuth(t, nil, func(c *server.Config) { c.OIDC = provider{auth.RoleViewer} })
	begin := a.do("GET", "/api/auth/oidc/login", "")
	state, err := http.ParseSetCookie(begin.header.Get("Set-Cookie"))
	if begin.status != 302 || begin.header.Get("Location") != "https://id.example/authorize?state=the-state" || err != nil {
		t.Fatalf("%d %v, %v", begin.status, begin.header, err)
	}
	if !state.HttpOnly || state.SameSite != http.SameSiteLaxMode || state.Value != "the-state" {
		t.Errorf("the cookie is %+v", state)
	}
	back := func(query, cookie string) httpReply {
		return a.do("GET", "/api/auth/oidc/callback?"+query, "", "Cookie", cookie, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate")
	}
	mine := state.Name + "=the-state"
	for name, c := range map[string]struct{ query, cookie string }{
		"another browser":  {"state=the-state&code=the-code", "x=y"},
		"another state":    {"state=other&code=the-code", mine},
		"no state":         {"code=the-code", mine},
		"a wrong code":     {"state=the-state&code=other", mine},
		"a refusal":        {"state=the-state&error=access_denied", mine},
		"both, and no one": {"state=the-state&code=the-code&error=access_denied", mine},
	} {
		if got := back(c.query, c.cookie); got.status < 400 || signedIn(got) != "" {
			t.Errorf("%s: %d, %v", name, got.status, got.header)
		}
	}
	got := back("state=the-state&code=the-code", mine)
	session := signedIn(got)
	if got.status != 200 || session == "" {
		t.Fatalf("%d %v %s", got.status, got.header, got.body)
	}
	if got := a.do("GET", "/api/auth/me", "", "Cookie", session); got.status != 200 || !strings.Contains(got.body, `"name":"eve"`) || !strings.Contains(got.body, auth.RoleViewer) {
		t.Errorf("who am I: %d %s", got.status, got.body)
	}
	if got := a.do("GET", "/queue", "", "Sec-Fetch-Site", "cross-site"); got.status != 401 && got.status != 403 {
		t.Errorf("another site gets %d elsewhere", got.status)
	}
}

// signedIn returns the session's cookie that an answer sets, "" when it sets none.
func signedIn(got httpReply) string {
	for _, line := range got.header.Values("Set-Cookie") {
		if c, err := http.ParseSetCookie(line); err == nil && c.Name == "comfygo_session" && c.Value != "" {
			return c.Name + "=" + c.Value
		}
	}
	return ""
}
