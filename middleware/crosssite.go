package middleware

import (
	"net/http"
	"strings"
)

// fromOwnPage reports whether a request with a cookie was made by a page of this server, or by the user: credentials that
// a browser sends by itself prove nothing if another site's page made the request. Reading is refused only if the browser
// reports that the request comes from another site; changes and opening a socket require a header that proves our own
// page.
func fromOwnPage(r *http.Request, socket bool) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	if site != "" && site != "same-origin" && site != "none" {
		return false
	}
	reads := (r.Method == http.MethodGet || r.Method == http.MethodHead) && !socket
	origins := r.Header["Origin"]
	if len(origins) == 0 {
		return reads || site == "same-origin"
	}
	return len(origins) == 1 && sameOrigin(origins[0], r.Host)
}

// FromOwnPage reports whether a request that signs a browser in or out was made by a page of this server, or by a
// program, which sends no word of where it comes from.
func FromOwnPage(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return false
	}
	origins := r.Header["Origin"]
	return len(origins) == 0 || len(origins) == 1 && sameOrigin(origins[0], r.Host)
}

// throughProxy reports whether a request that a proxy authenticates may count. The proxy knows a browser by a cookie of
// its own, which other sites' pages make the browser send too; so requests from another site's page are refused, except
// for following a link.
func throughProxy(r *http.Request, socket bool) bool {
	follows := r.Method == http.MethodGet && !socket && r.Header.Get("Sec-Fetch-Mode") == "navigate"
	return follows || FromOwnPage(r)
}

// sameOrigin reports whether an origin is that of a host, both with their ports.
func sameOrigin(origin, host string) bool {
	scheme, rest, ok := strings.Cut(origin, "://")
	if !ok {
		return false
	}
	switch strings.ToLower(scheme) {
	case "http":
		rest, host = strings.TrimSuffix(rest, ":80"), strings.TrimSuffix(host, ":80")
	case "https":
		rest, host = strings.TrimSuffix(rest, ":443"), strings.TrimSuffix(host, ":443")
	default:
		return false
	}
	return host != "" && strings.EqualFold(rest, host)
}
