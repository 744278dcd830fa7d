package middleware_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/labstack/echo/v4"

	"comfygo/middleware"
)

// serve runs one request through a middleware and a handler that answers 200.
func serve(t *testing.T, m echo.MiddlewareFunc, r *http.Request, h echo.HandlerFunc) *httptest.ResponseRecorder {
	t.Helper()
	e := echo.New()
	e.Use(m)
	if h == nil {
		h = func(c echo.Context) error { return c.String(http.StatusOK, "hello") }
	}
	e.Any("/*", h)
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	return w
}

func TestOriginGuard(t *testing.T) {
	t.Parallel()
	lookup := func(_ context.Context, host string) ([]netip.Addr, error) {
		switch host {
		case "home.example":
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
		case "far.example":
			return []netip.Addr{netip.MustParseAddr("192.0.2.7")}, nil
		}
		return nil, errors.New("no such host")
	}
	guard := middleware.OriginGuard(middleware.Origins{Lookup: lookup})
	for _, c := range []struct {
		method, host, origin, site string
		want                       int
	}{
		{"GET", "127.0.0.1:8188", "", "", 200},
		{"GET", "127.0.0.1:8188", "http://127.0.0.1:8188", "", 200},
		{"GET", "127.0.0.1:8188", "https://127.0.0.1:8188", "", 200},
		{"GET", "127.0.0.1:8188", "http://evil.example", "", 403},
		{"GET", "127.0.0.1:8188", "http://evil.example/x", "", 403},
		{"GET", "127.0.0.1:8188", "http://127.0.0.1:9999", "", 403},
		{"GET", "127.0.0.1:8188", "http://127.0.0.1", "", 200},
		{"GET", "127.0.0.1", "http://127.0.0.1:5173", "", 200},
		{"GET", "127.0.0.1:8188", "http://localhost:8188", "", 403},
		{"GET", "127.0.0.1:8188", "null", "", 200},
		{"GET", "127.0.0.1:8188", "http://user@127.0.0.1:bad", "", 403},
		{"GET", "[::1]:8188", "http://[::1]:8188", "", 200},
		{"GET", "[::1]:8188", "http://evil.example", "", 403},
		{"GET", "LOCALHOST:8188", "http://Localhost:8188", "", 200},
		{"GET", "192.0.2.1:8188", "http://evil.example", "", 200},
		{"GET", "home.example:8188", "http://evil.example", "", 403},
		{"GET", "far.example:8188", "http://evil.example", "", 200},
		{"GET", "unknown.example", "http://evil.example", "", 200},
		{"GET", "127.1:8188", "http://evil.example", "", 403},
		{"GET", "0x7f.0.1:8188", "http://evil.example", "", 403},
		{"GET", "0177.0.0.1", "http://evil.example", "", 403},
		{"GET", "2130706433:8188", "http://evil.example", "", 403},
		{"GET", "2130706433:8188", "http://2130706433:8188", "", 200},
		{"GET", "3221225985:8188", "http://evil.example", "", 200},
		{"GET", "127.256:8188", "http://evil.example", "", 403},
		{"GET", "127.0.0.256:8188", "http://evil.example", "", 200},
		{"GET", "127.0.0.0.1:8188", "http://evil.example", "", 200},
		{"GET", "127.0.0.1:8188", "", "cross-site", 403},
		{"GET", "127.0.0.1:8188", "", "same-site", 200},
		{"OPTIONS", "127.0.0.1:8188", "http://127.0.0.1:8188", "", 200},
		{"OPTIONS", "127.0.0.1:8188", "http://evil.example", "", 403},
	} {
		r := httptest.NewRequest(c.method, "/x", nil)
		r.Host = c.host
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		if c.site != "" {
			r.Header.Set("Sec-Fetch-Site", c.site)
		}
		w := serve(t, guard, r, nil)
		if w.Code != c.want {
			t.Errorf("%s host %s origin %q site %q: status %d, want %d", c.method, c.host, c.origin, c.site, w.Code, c.want)
		}
		if (w.Code == 403 || c.method == "OPTIONS") && w.Body.Len() != 0 {
			t.Errorf("%+v: body %q, want none", c, w.Body)
		}
	}
}

func TestCacheControl(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		path string
		h    echo.HandlerFunc
		want string
	}{
		{"/a/b.js", nil, "no-store"},
		{"/a/b.JS", nil, ""},
		{"/a/index-1.json", nil, "no-store"},
		{"/a/other.json", nil, ""},
		{"/a.PNG", nil, "public, max-age=86400"},
		{"/a.png", func(c echo.Context) error { return c.NoContent(404) }, "public, max-age=3600"},
		{"/a.png", func(c echo.Context) error { middleware.MarkFile(c); return c.NoContent(404) }, "public, max-age=86400"},
		{"/a.png", func(c echo.Context) error { return c.NoContent(304) }, ""},
		{"/a.png", func(c echo.Context) error { return c.NoContent(302) }, "no-cache"},
		{"/a.js", func(c echo.Context) error { middleware.MarkBare(c); return c.NoContent(404) }, ""},
		{"/a.js", func(c echo.Context) error {
			c.Response().Header().Set("Cache-Control", "mine")
			return c.NoContent(200)
		}, "mine"},
	} {
		w := serve(t, middleware.CacheControl(), httptest.NewRequest("GET", c.path, nil), c.h)
		if got := w.Header().Get("Cache-Control"); got != c.want {
			t.Errorf("%s: %q, want %q", c.path, got, c.want)
		}
	}
}

func TestRecover(t *testing.T) {
	t.Parallel()
	e := echo.New()
	var seen error
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		seen = err
		_ = c.NoContent(500)
	}
	e.Use(middleware.Recover())
	e.GET("/", func(echo.Context) error { panic("ouch") })
	e.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	var p *middleware.PanicError
	if !errors.As(seen, &p) || p.Value != "ouch" || len(p.Stack) == 0 {
		t.Errorf("got %v, want the panic with its stack", seen)
	}
}
