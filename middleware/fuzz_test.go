package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"comfygo/auth"
	"comfygo/middleware"
)

// FuzzAuthenticate sends untrusted credentials through the middleware: no request passes without the key, and no answer and
// no masked query holds it.
func FuzzAuthenticate(f *testing.F) {
	for _, seed := range [][4]string{
		{"Bearer " + goodKey, "", "", ""},
		{"", goodKey, "api_key=" + goodKey, ""},
		{"bearer\t" + goodKey, "x", "api%5fkey=%zz&token=a+b;c", "comfygo.token." + goodKey},
		{"Basic Og==", "\x00", "a&b&&=&api_key", "comfygo_session=x; comfygo_session=y"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	keys, err := auth.NewKeys([]string{goodKey}, nil)
	if err != nil {
		f.Fatal(err)
	}
	e := echo.New()
	e.Use(middleware.Authenticate(middleware.Authentication{
		Gate: auth.NewKeyring(keys, auth.KeyringOptions{}), Socket: func(c echo.Context) bool { return c.Path() == "/sock" }, ProxyHeader: "X-User",
	}))
	e.Any("/*", func(c echo.Context) error { return c.String(http.StatusOK, c.Request().URL.RawQuery) })
	e.Any("/sock", func(c echo.Context) error { return c.String(http.StatusOK, c.Request().URL.RawQuery) })
	e.Any("/prompt", func(c echo.Context) error { return c.String(http.StatusOK, c.Request().URL.RawQuery) })
	f.Fuzz(func(t *testing.T, authorization, key, query, other string) {
		for _, path := range []string{"/prompt", "/sock"} {
			r := httptest.NewRequest("POST", path, nil)
			r.URL.RawQuery = query
			r.Header["Authorization"], r.Header["X-Api-Key"] = []string{authorization}, []string{key}
			r.Header["Cookie"], r.Header["X-User"], r.Header["Sec-Websocket-Protocol"] = []string{other}, []string{other}, []string{other}
			w := httptest.NewRecorder()
			e.ServeHTTP(w, r)
			if w.Code == http.StatusOK && !strings.Contains(authorization+key+other, goodKey) && !strings.Contains(unquoted(query), goodKey) {
				t.Errorf("%q %q %q %q got in", authorization, key, query, other)
			}
			if w.Code != http.StatusOK && strings.Contains(w.Body.String(), goodKey) {
				t.Errorf("the answer holds the key: %s", w.Body)
			}
		}
		if masked := middleware.MaskQuery("api_key=" + goodKey + "&" + query); strings.HasPrefix(masked, "api_key="+goodKey) {
			t.Errorf("the masked query is %s", masked)
		}
	})
}

// unquoted is a query decoded as far as it can be.
func unquoted(query string) string {
	r := httptest.NewRequest("GET", "/", nil)
	r.URL.RawQuery = query
	all := query
	for _, values := range r.URL.Query() {
		all += strings.Join(values, " ")
	}
	return all
}
