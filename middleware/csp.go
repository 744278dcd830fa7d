package middleware

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// policy keeps the pages from loading anything from other hosts; upstream sends the same.
const policy = "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; " +
	"img-src 'self' data: blob:; font-src 'self'; connect-src 'self' data:; frame-src 'self'; object-src 'self';"

// ContentSecurityPolicy adds the policy to every answer but raised errors. It is installed with --disable-api-nodes.
func ContentSecurityPolicy() echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			beforeHeaders(c, func(h http.Header, _ int) {
				if h.Get("Content-Security-Policy") == "" { // our own pages have a stricter one
					h.Set("Content-Security-Policy", policy)
				}
			})
			return next(c)
		}
	}
}
