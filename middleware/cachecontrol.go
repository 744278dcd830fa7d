package middleware

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
)

var imageEndings = []string{".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"}

// CacheControl adds a Cache-Control header by the request's path alone, on every route: scripts, styles and
// index*.json are never stored, images may be kept for a day. A header that a handler set stays.
func CacheControl() echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			path := c.Request().URL.Path
			if !cacheable(path) {
				return next(c)
			}
			beforeHeaders(c, func(h http.Header, status int) {
				if h.Get("Cache-Control") != "" {
					return
				}
				if marked(c, keyFile) {
					status = http.StatusOK
				}
				if v := cacheControl(path, status); v != "" {
					h.Set("Cache-Control", v)
				}
			})
			return next(c)
		}
	}
}

func cacheable(path string) bool { return cacheControl(path, http.StatusOK) != "" }

func cacheControl(path string, status int) string {
	name := path[strings.LastIndexByte(path, '/')+1:]
	entry := strings.HasPrefix(name, "index") && strings.HasSuffix(name, ".json")
	if entry || strings.HasSuffix(path, ".js") || strings.HasSuffix(path, ".css") {
		return "no-store"
	}
	if !isImage(strings.ToLower(path)) {
		return ""
	}
	switch status {
	case http.StatusNotFound:
		return "public, max-age=3600"
	case http.StatusMovedPermanently, http.StatusPermanentRedirect:
		return "public, max-age=86400"
	case http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect:
		return "no-cache"
	}
	if status >= 200 && status <= 206 {
		return "public, max-age=86400"
	}
	return ""
}

func isImage(path string) bool {
	for _, e := range imageEndings {
		if strings.HasSuffix(path, e) {
			return true
		}
	}
	return false
}
