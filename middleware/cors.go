package middleware

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// CORS lets pages of the given origin ("*" for all) use the server and answers every OPTIONS request itself. It is
// installed instead of OriginGuard, and before Authenticate: a page has to be able to read why it is refused.
func CORS(origin string) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			c.Response().Before(func() {
				if marked(c, keyBare) && !marked(c, keyOpen) {
					return
				}
				h := c.Response().Header()
				h.Set("Access-Control-Allow-Origin", origin)
				h.Set("Access-Control-Allow-Methods", "POST, GET, DELETE, PUT, OPTIONS, PATCH")
				h.Set("Access-Control-Allow-Headers", "Content-Type, Authorization")
				h.Set("Access-Control-Allow-Credentials", "true")
			})
			if c.Request().Method == http.MethodOptions {
				return c.NoContent(http.StatusOK)
			}
			return next(c)
		}
	}
}
