package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/labstack/echo/v4"

	"comfygo/auth"
	"comfygo/middleware"
)

// TestThroughProxyCrossSite holds that another site's page can't use the log-in that a browser has at the proxy.
func TestThroughProxyCrossSite(t *testing.T) {
	t.Parallel()
	trusted := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	s, err := auth.OpenStore(t.Context(), auth.StoreOptions{
		Path: t.TempDir() + "/auth.db", ProxyFrom: trusted, Hash: auth.HashParameters{Passes: 1, Memory: 8, Threads: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if _, err := s.CreateUser(t.Context(), auth.CommandLine("test"), "ada", auth.RoleAdministrator); err != nil {
		t.Fatal(err)
	}
	guard := middleware.Authenticate(middleware.Authentication{
		Gate: s, ProxyHeader: "X-Forwarded-User", Proxies: trusted, Socket: func(c echo.Context) bool { return c.Request().URL.Path == "/ws" },
	})
	for _, c := range []struct {
		name, method, path string
		headers            map[string]string
		want               int
	}{
		{"a program", "POST", "/prompt", nil, 200},
		{"our page", "POST", "/prompt", map[string]string{"Origin": "http://comfy.example", "Sec-Fetch-Site": "same-origin"}, 200},
		{"another page", "POST", "/prompt", map[string]string{"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}, 403},
		{"another page, old browser", "POST", "/prompt", map[string]string{"Origin": "http://evil.example"}, 403},
		{"no origin to speak of", "POST", "/prompt", map[string]string{"Origin": "null"}, 403},
		{"an image on another page", "GET", "/view", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403},
		{"a link on another page", "GET", "/view", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200},
		{"a form on another page", "POST", "/free", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 403},
		{"a socket of another page", "GET", "/ws", map[string]string{"Origin": "http://evil.example", "Sec-Fetch-Mode": "websocket"}, 403},
		{"a socket of our page", "GET", "/ws", map[string]string{"Origin": "http://comfy.example"}, 200},
	} {
		r := httptest.NewRequest(c.method, c.path, nil)
		r.Host, r.RemoteAddr = "comfy.example", "192.0.2.7:4711"
		r.Header.Set("X-Forwarded-User", "ada")
		for name, v := range c.headers {
			r.Header.Set(name, v)
		}
		handler := func(c echo.Context) error {
			if auth.FromContext(c.Request().Context()).Anonymous() { // what is open to all, as the test's only route is
				return c.NoContent(http.StatusForbidden)
			}
			return c.NoContent(http.StatusOK)
		}
		if w := serve(t, guard, r, handler); w.Code != c.want {
			t.Errorf("%s: status %d, want %d: %s", c.name, w.Code, c.want, w.Body)
		}
	}
}
