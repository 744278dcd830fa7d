package server

import (
	"strings"

	"github.com/labstack/echo/v4"
)

// plainPath decodes percent-encoded letters, digits and -._~ of the path, which mean the same (RFC 3986,
// 6.2.2.2): /%66eatures is /features. Other encoded characters, above all %2F, are left to the routes.
func plainPath(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		u := c.Request().URL
		if u.RawPath != "" {
			u.RawPath = unreserved(u.RawPath)
		}
		return next(c)
	}
}

func unreserved(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] == '%' && i+2 < len(path) {
			if plain := unhex(path[i+1])<<4 | unhex(path[i+2]); isUnreserved(plain) {
				b.WriteByte(plain)
				i += 2
				continue
			}
		}
		b.WriteByte(path[i])
	}
	return b.String()
}

// unhex is the value of a hexadecimal digit; net/http lets no other character stand after a percent sign.
func unhex(c byte) byte {
	switch {
	case c >= 'a':
		return c - 'a' + 10
	case c >= 'A':
		return c - 'A' + 10
	}
	return c - '0'
}

func isUnreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0
}
