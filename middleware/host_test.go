package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"comfygo/middleware"
)

// TestAllowedHosts: with DNS rebinding the page's own name leads here, and its Origin is that name, too.
func TestAllowedHosts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		host    string
		list    []string
		allowed bool
	}{
		{"127.0.0.1:8188", nil, true},
		{"192.168.1.5", nil, true},
		{"[::1]:8188", nil, true},
		{"localhost:8188", nil, true},
		{"LOCALHOST.", nil, true},
		{"me.localhost:1", nil, true},
		{"", nil, true},
		{"attacker.example:8188", nil, false},
		{"127.0.0.1.attacker.example", nil, false},
		{"localhost.attacker.example", nil, false},
		{"notlocalhost", nil, false},
		{"127.1", nil, false}, // a resolver would take it for an address, and a zone may hold it as a name
		{"user@attacker.example", nil, false},
		{"attacker.example:80x", nil, false},
		{"app.example.org", []string{"App.Example.org."}, true},
		{"app.example.org:443", []string{"app.example.org"}, true},
		{"x.app.example.org", []string{"app.example.org"}, false},
		{"x.app.example.org", []string{"*.example.org"}, true},
		{"example.org", []string{"*.example.org"}, false},
		{"evilexample.org", []string{"*.example.org"}, false},
		{"attacker.example", []string{"*"}, false},
	} {
		e := echo.New()
		e.Use(middleware.AllowedHosts(c.list))
		e.GET("/", func(c echo.Context) error { return c.NoContent(http.StatusOK) })
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = c.host
		r.Header.Set("Origin", "http://"+c.host)
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		if allowed := w.Code == http.StatusOK; allowed != c.allowed {
			t.Errorf("%q with %q: %d", c.host, c.list, w.Code)
		}
		if !c.allowed && (w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "host_not_allowed") || !strings.Contains(w.Body.String(), "--allowed-hosts")) {
			t.Errorf("%q with %q: %d %s", c.host, c.list, w.Code, w.Body)
		}
	}
}
