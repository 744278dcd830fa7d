package middleware

import (
	"log/slog"
	"time"

	"github.com/labstack/echo/v4"
)

// RequestLog logs every request at debug level: method, path, query with its keys masked, status, time.
func RequestLog(log *slog.Logger) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			if !log.Enabled(r.Context(), slog.LevelDebug) {
				return next(c)
			}
			start, query := time.Now(), MaskQuery(r.URL.RawQuery)
			err := next(c)
			log.DebugContext(r.Context(), "request", "method", r.Method, "path", r.URL.Path, "query", query,
				"status", c.Response().Status, "seconds", time.Since(start).Seconds())
			return err
		}
	}
}
