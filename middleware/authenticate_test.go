package middleware_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"comfygo/auth"
	"comfygo/middleware"
)

const goodKey = "a-key-that-is-good-enough"

// guarded is a server with two keys behind the middleware; /open is a file of the frontend, /ws opens sockets.
func guarded(t *testing.T, a middleware.Authentication) *echo.Echo {
	t.Helper()
	keys, err := auth.NewKeys([]string{goodKey, "another-key-for-the-tests"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	e := echo.New()
	a.Gate = auth.NewKeyring(keys, auth.KeyringOptions{})
	a.Public = func(c echo.Context) bool { return c.Path() == "/open" }
	a.Socket = func(c echo.Context) bool { return c.Path() == "/ws" || c.Path() == "/api/ws" }
	e.Use(middleware.Authenticate(a))
	for _, path := range []string{"/", "/ws", "/api/ws", "/health", "/open", "/prompt", "/api/prompt"} {
		e.Any(path, func(c echo.Context) error {
			p := auth.FromContext(c.Request().Context())
			return c.JSON(http.StatusOK, map[string]any{
				"source": p.Source, "known": !p.Anonymous(), "query": c.Request().URL.RawQuery, "addr": middleware.Address(c).String(),
			})
		})
	}
	return e
}

type seen struct {
	Source auth.Source
	Known  bool
	Query  string
	Addr   string
}

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	e := guarded(t, middleware.Authentication{})
	for _, c := range []struct {
		name, request string
		headers       []string // "Name: value"
		status        int
		source        auth.Source
	}{
		{"nothing", "POST /prompt", nil, 401, ""},
		{"bearer", "POST /prompt", []string{"Authorization: Bearer " + goodKey}, 200, auth.SourceBearer},
		{"bearer, other letters", "GET /prompt", []string{"Authorization: bEaReR   " + goodKey}, 200, auth.SourceBearer},
		{"another scheme", "GET /prompt", []string{"Authorization: Basic " + goodKey}, 401, ""},
		{"no scheme", "GET /prompt", []string{"Authorization: " + goodKey}, 401, ""},
		{"header", "GET /api/prompt", []string{"X-API-Key: " + goodKey}, 200, auth.SourceHeader},
		{"wrong header", "GET /prompt", []string{"X-API-Key: " + goodKey + "x"}, 401, ""},
		{"query", "GET /prompt?a=1&api_key=" + goodKey + "&b=2", nil, 200, auth.SourceQuery},
		{"query, encoded name", "GET /prompt?api%5Fkey=" + goodKey, nil, 200, auth.SourceQuery},
		{"query, wrong", "GET /prompt?api_key=nonsense", nil, 401, ""},
		{"token is for sockets", "GET /prompt?token=" + goodKey, nil, 401, ""},
		{"token at a socket", "GET /api/ws?token=" + goodKey, nil, 200, auth.SourceQuery},
		{"protocol", "GET /api/ws", []string{"Sec-WebSocket-Protocol: chat, comfygo.token." + goodKey}, 200, auth.SourceProtocol},
		{"protocol elsewhere", "GET /prompt", []string{"Sec-WebSocket-Protocol: comfygo.token." + goodKey}, 401, ""},
		{"twice the same", "GET /prompt", []string{"Authorization: Bearer " + goodKey, "X-API-Key: " + goodKey}, 200, auth.SourceBearer},
		{"two that are good", "GET /prompt", []string{"Authorization: Bearer " + goodKey, "X-API-Key: another-key-for-the-tests"}, 401, ""},
		{"a bad one besides", "GET /prompt?api_key=bad", []string{"X-API-Key: " + goodKey}, 401, ""},
		{"two in the query", "GET /prompt?api_key=bad&api_key=" + goodKey, nil, 401, ""},
		{"a header twice", "GET /prompt", []string{"X-API-Key: " + goodKey, "X-API-Key: bad"}, 401, ""},
		{"a header twice, first bad", "GET /prompt", []string{"Authorization: Bearer bad", "Authorization: Bearer " + goodKey}, 401, ""},
		{"a header twice, same", "GET /prompt", []string{"X-API-Key: " + goodKey, "X-API-Key: " + goodKey}, 401, ""},
		{"a cookie that is a key", "GET /prompt", []string{"Cookie: comfygo_session=" + goodKey}, 401, ""},
		{"a user without a proxy", "GET /prompt", []string{"X-Forwarded-User: admin"}, 401, ""},
		{"health", "GET /health", nil, 200, ""},
		{"health with a bad key", "GET /health", []string{"X-API-Key: bad"}, 200, ""},
		{"health with a key", "GET /health", []string{"X-API-Key: " + goodKey}, 200, auth.SourceHeader},
		{"posting to health", "POST /health", nil, 401, ""},
		{"root", "GET /", nil, 200, ""},
		{"socket", "GET /ws", nil, 200, ""},
		{"socket below api", "GET /api/ws", nil, 401, ""},
		{"a file of the frontend", "GET /open", nil, 200, ""},
		{"what is not there", "GET /nothing", nil, 401, ""},
		{"preflight", "OPTIONS /prompt", nil, 200, ""},
	} {
		method, target, _ := strings.Cut(c.request, " ")
		r := httptest.NewRequest(method, target, nil)
		for _, h := range c.headers {
			name, value, _ := strings.Cut(h, ": ")
			r.Header.Add(name, value)
		}
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		var got seen
		_ = json.Unmarshal(w.Body.Bytes(), &got)
		if w.Code != c.status || got.Source != c.source || got.Known != (c.source != "") {
			t.Errorf("%s: %d, %+v", c.name, w.Code, got)
		}
		if c.status == 401 && (w.Header().Get("WWW-Authenticate") != "Bearer" || !strings.Contains(w.Body.String(), `"type": "unauthorized"`)) {
			t.Errorf("%s: %v %s", c.name, w.Header(), w.Body)
		}
		if strings.Contains(w.Body.String(), goodKey) || strings.Contains(got.Query, "key") {
			t.Errorf("%s: the key comes back in %s", c.name, w.Body)
		}
	}
}

// TestCookieNeedsAnOrigin signs in and lets other pages use the cookie.
func TestCookieNeedsAnOrigin(t *testing.T) {
	t.Parallel()
	keys, err := auth.NewKeys([]string{goodKey}, nil)
	if err != nil {
		t.Fatal(err)
	}
	gate := auth.NewKeyring(keys, auth.KeyringOptions{})
	session, err := gate.Login(t.Context(), auth.Credential{Source: auth.SourceHeader, Secret: goodKey})
	if err != nil {
		t.Fatal(err)
	}
	e := echo.New()
	e.Use(middleware.Authenticate(middleware.Authentication{Gate: gate, Socket: func(c echo.Context) bool { return c.Path() == "/sock" }}))
	e.Any("/x", func(c echo.Context) error { return c.NoContent(http.StatusOK) })
	e.GET("/sock", func(c echo.Context) error { return c.NoContent(http.StatusOK) })
	for _, c := range []struct {
		request, origin, site string
		want                  int
	}{
		{"GET /x", "", "", 200},
		{"GET /x", "", "same-origin", 200},
		{"GET /x", "", "none", 200},
		{"GET /x", "", "cross-site", 403},
		{"GET /x", "", "same-site", 403},
		{"GET /x", "http://evil.example", "", 403},
		{"POST /x", "", "", 403},
		{"POST /x", "", "none", 403},
		{"POST /x", "", "same-origin", 200},
		{"POST /x", "http://example.com", "", 200},
		{"POST /x", "https://example.com:443", "", 200},
		{"POST /x", "http://example.com:8188", "", 403},
		{"POST /x", "http://example.com.evil.example", "", 403},
		{"POST /x", "null", "", 403},
		{"POST /x", "http://example.com", "same-site", 403},
		{"DELETE /x", "", "", 403},
		{"GET /sock", "", "", 403},
		{"GET /sock", "http://evil.example", "", 403},
		{"GET /sock", "http://example.com", "", 200},
	} {
		method, target, _ := strings.Cut(c.request, " ")
		r := httptest.NewRequest(method, target, nil)
		r.AddCookie(&http.Cookie{Name: middleware.SessionCookie, Value: session.Secret})
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		if c.site != "" {
			r.Header.Set("Sec-Fetch-Site", c.site)
		}
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%s, origin %q, site %q: %d, want %d", c.request, c.origin, c.site, w.Code, c.want)
		}
	}
}

func TestMaskQuery(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"": "", "a=b": "a=b", "api_key=secret&x=1": "api_key=***&x=1", "x=1&API_KEY=secret": "x=1&API_KEY=***",
		"api%5Fkey=secret": "api%5Fkey=***", "token=secret": "token=***", "%74oken=secret;y": "%74oken=***", "monkey=1": "monkey=1",
		"code=secret&state=mine&session_state=x": "code=***&state=***&session_state=x", "c%6Fde=secret": "c%6Fde=***",
	} {
		if got := middleware.MaskQuery(query); got != want {
			t.Errorf("MaskQuery(%q) = %q, want %q", query, got, want)
		}
	}
}

// TestAddress trusts the forwarded addresses of trusted proxies only.
func TestAddress(t *testing.T) {
	t.Parallel()
	e := guarded(t, middleware.Authentication{Proxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("10.0.0.0/8")}})
	for _, c := range []struct{ peer, forwarded, want string }{
		{"203.0.113.5:1", "", "203.0.113.5"},
		{"203.0.113.5:1", "198.51.100.1", "203.0.113.5"},
		{"192.0.2.1:1", "198.51.100.1", "198.51.100.1"},
		{"192.0.2.1:1", "6.6.6.6, 198.51.100.1, 10.1.1.1", "198.51.100.1"},
		{"192.0.2.1:1", "nonsense", "192.0.2.1"},
		{"192.0.2.1:1", "6.6.6.6, nonsense", "192.0.2.1"},
		{"[::ffff:192.0.2.1]:1", "198.51.100.1", "198.51.100.1"},
	} {
		r := httptest.NewRequest("GET", "/health", nil)
		r.RemoteAddr = c.peer
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		var got seen
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.Addr != c.want {
			t.Errorf("%s forwarding %q: %s, %v; want %s", c.peer, c.forwarded, got.Addr, err, c.want)
		}
	}
}
