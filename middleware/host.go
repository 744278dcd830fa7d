package middleware

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
)

// AllowedHosts refuses, with 403, requests whose Host is a name other than localhost and those in the list. A page of
// another site that has its own name lead to this machine (DNS rebinding) sends that name, and its Origin matches it, so
// that a check of origins does not detect it. IP addresses pass: no foreign page has one as its name.
func AllowedHosts(names []string) echo.MiddlewareFunc {
	list := make([]string, len(names))
	for i, n := range names {
		list[i] = plainHost(n)
	}
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			name, _, ok := splitPort(c.Request().Host)
			if name = plainHost(name); !ok || !allowedHost(name, list) {
				return Refuse(c, http.StatusForbidden, "host_not_allowed", "The host name is not allowed",
					"this server does not answer for the name "+quotedName(name)+"; use its IP address or localhost, or start it with --allowed-hosts NAME")
			}
			return next(c)
		}
	}
}

// plainHost is a host name in lower case, without the dot of the root.
func plainHost(name string) string {
	return strings.TrimSuffix(strings.ToLower(strings.TrimSpace(name)), ".")
}

// allowedHost reports whether a request for a host passes. Requests of old clients have no Host.
func allowedHost(name string, list []string) bool {
	if name == "" || name == "localhost" || strings.HasSuffix(name, ".localhost") || slices.Contains(list, name) {
		return true
	}
	if a, err := netip.ParseAddr(name); err == nil && a.Zone() == "" {
		return true
	}
	return slices.ContainsFunc(list, func(l string) bool { // *.example.org is for all names below it
		suffix, wild := strings.CutPrefix(l, "*")
		return wild && strings.HasPrefix(suffix, ".") && strings.HasSuffix(name, suffix)
	})
}

// quotedName returns text from a client, cut and without control characters.
func quotedName(name string) string {
	const longest = 100
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, name)
	if len(clean) > longest {
		clean = clean[:longest] + "…"
	}
	return `"` + clean + `"`
}
