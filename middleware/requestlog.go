package middleware

import (
	"log/slog"
	"time"

	"github.com/labstack/echo/v4"
)

// RequestLog logs every request at debug level: method, path without the query (which may hold a key), status, time.
func RequestLog(log *slog.Logger) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			if !log.Enabled(r.Context(), slog.LevelDebug) {
				return next(c)
			}
			start := time.Now()
			err := next(c)
			log.DebugContext(r.Context(), "request", "method", r.Method, "path", r.URL.Path,
				"status", c.Response().Status, "seconds", time.Since(start).Seconds())
			return err
		}
	}
}
