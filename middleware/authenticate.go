package middleware

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"comfygo/auth"
)

const keyAuthenticated = "comfygo.authenticated"

// Authenticate lets only requests with a valid key pass, when there are keys at all. The key comes as
// "Authorization: Bearer KEY", as "X-API-Key: KEY" or, for browsers' WebSockets that can't set headers, as ?token=KEY.
// Everything else is answered with 401 before anything of the request is parsed. The paths in open pass without a key;
// Authenticated tells their handlers whether one was shown. OPTIONS requests pass, since browsers send them without
// credentials and their answer holds nothing.
func Authenticate(keys *auth.Keys, open ...string) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if !keys.Required() || keys.Allow(shownKey(c.Request())) {
				c.Set(keyAuthenticated, true)
				return next(c)
			}
			r := c.Request()
			for _, p := range open {
				if r.URL.Path == p {
					return next(c)
				}
			}
			if r.Method == http.MethodOptions {
				return next(c)
			}
			MarkBare(c)
			c.Response().Header().Set("WWW-Authenticate", `Bearer realm="comfygo"`)
			c.Response().Header().Set("Connection", "close") // the body is not read
			return c.Blob(http.StatusUnauthorized, "application/json; charset=utf-8",
				[]byte(`{"error": {"type": "unauthorized", "message": "An API key is required", `+
					`"details": "send it as Authorization: Bearer KEY or X-API-Key: KEY", "extra_info": {}}}`))
		}
	}
}

// Authenticated reports whether a request may see everything: it showed a valid key, or none is needed.
func Authenticated(c echo.Context) bool { return marked(c, keyAuthenticated) }

func shownKey(r *http.Request) string {
	if scheme, key, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(key)
	}
	if key := r.Header.Get("X-API-Key"); key != "" {
		return key
	}
	if strings.HasSuffix(r.URL.Path, "/ws") {
		return r.URL.Query().Get("token")
	}
	return ""
}
