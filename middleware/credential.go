package middleware

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"comfygo/auth"
)

// SessionCookie is the name of the cookie that holds a log-in.
const SessionCookie = "comfygo_session"

// TokenProtocol is the prefix of the WebSocket subprotocol that carries a credential, for browsers, whose sockets cannot
// set headers.
const TokenProtocol = "comfygo.token."

// The names of the query parameters that carry a credential; token does so at sockets only.
const (
	queryKey   = "api_key"
	queryToken = "token"
)

// shown holds the credential of a request.
type shown struct {
	auth.Credential
	// doubtful: two credentials that differ, or a header sent twice. Proxies and servers may pick different ones then,
	// so one cannot be chosen.
	doubtful bool
}

// credential finds the credential of a request. An explicit key takes precedence over the proxy's header, and that
// over the cookie.
func (a *authenticator) credential(r *http.Request, socket bool) shown {
	var s shown
	add := func(from auth.Source, secret string) {
		if secret == "" {
			return
		}
		if s.Secret != "" && s.Secret != secret {
			s.doubtful = true
		}
		if s.Secret == "" {
			s.Source, s.Secret = from, secret
		}
	}
	if list := r.Header["Authorization"]; len(list) > 0 {
		s.doubtful = len(list) > 1
		if scheme, key, ok := strings.Cut(list[0], " "); ok && strings.EqualFold(scheme, "Bearer") {
			add(auth.SourceBearer, strings.TrimSpace(key))
		}
	}
	if list := r.Header["X-Api-Key"]; len(list) > 0 {
		s.doubtful = s.doubtful || len(list) > 1
		add(auth.SourceHeader, strings.TrimSpace(list[0]))
	}
	if strings.ContainsAny(r.URL.RawQuery, "kK%") { // most have no query, or one that cannot hold a key
		for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
			name, value, _ := strings.Cut(pair, "=")
			if name = unescape(name); name == queryKey || name == queryToken && socket {
				add(auth.SourceQuery, unescape(value))
			}
		}
	}
	if socket {
		for _, p := range protocols(r) {
			if secret, is := strings.CutPrefix(p, TokenProtocol); is {
				add(auth.SourceProtocol, secret)
			}
		}
	}
	if s.Secret == "" && !s.doubtful {
		s.implied(r, a.proxyHeader)
	}
	s.Addr = a.address(r, s.Source == auth.SourceProxy)
	return s
}

// implied reads the credentials that the browser or a proxy adds by itself.
func (s *shown) implied(r *http.Request, proxyHeader string) {
	if proxyHeader != "" {
		if list := r.Header[http.CanonicalHeaderKey(proxyHeader)]; len(list) > 0 {
			s.Source, s.Secret, s.doubtful = auth.SourceProxy, list[0], len(list) > 1
			return
		}
	}
	if r.Header["Cookie"] == nil {
		return
	}
	if list := r.CookiesNamed(SessionCookie); len(list) > 0 && list[0].Value != "" {
		s.Source, s.Secret, s.doubtful = auth.SourceCookie, list[0].Value, len(list) > 1
	}
}

// protocols are the WebSocket subprotocols that a request offers.
func protocols(r *http.Request) []string {
	var out []string
	for _, line := range r.Header["Sec-Websocket-Protocol"] {
		for p := range strings.SplitSeq(line, ",") {
			if p = strings.TrimSpace(p); p != "" {
				out = append(out, p)
			}
		}
	}
	return out
}

// unescape decodes a part of a query; text with an invalid encoding is returned unchanged.
func unescape(v string) string {
	if !strings.ContainsAny(v, "%+") {
		return v
	}
	if decoded, err := url.QueryUnescape(v); err == nil {
		return decoded
	}
	return v
}

// address returns the client's address: the peer or, when that is a trusted proxy, the nearest address before it that is
// not one. With peer it returns the proxy's own address.
func (a *authenticator) address(r *http.Request, peer bool) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := at.Addr().Unmap()
	if peer || !a.trusts(addr) {
		return addr
	}
	chain := strings.Split(strings.Join(r.Header["X-Forwarded-For"], ","), ",")
	for i := len(chain) - 1; i >= 0; i-- {
		before, err := netip.ParseAddr(strings.TrimSpace(chain[i]))
		if err != nil {
			return addr
		}
		if addr = before.Unmap(); !a.trusts(addr) {
			return addr
		}
	}
	return addr
}

func (a *authenticator) trusts(addr netip.Addr) bool {
	for _, p := range a.proxies {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// MaskQuery is a query with the values of credentials replaced, fit for logs.
func MaskQuery(raw string) string {
	parts := strings.Split(raw, "&")
	for i, pair := range parts {
		if name, _, _ := strings.Cut(pair, "="); secretName(name) {
			parts[i] = name + "=***"
		}
	}
	return strings.Join(parts, "&")
}

// oidcSecrets are the parameters of an identity provider's redirect: a code that is worth a login until it is used, and
// the state that belongs to it.
var oidcSecrets = []string{"code", "state"}

func secretName(name string) bool {
	name = strings.ToLower(unescape(name))
	return name == queryKey || name == queryToken || slices.Contains(oidcSecrets, name)
}

// withoutSecrets takes credentials out of a query, so that nothing behind can repeat them.
func withoutSecrets(raw string, socket bool) string {
	parts := strings.Split(raw, "&")
	kept := parts[:0]
	for _, pair := range parts {
		name, _, _ := strings.Cut(pair, "=")
		if name = unescape(name); name == queryKey || name == queryToken && socket {
			continue
		}
		kept = append(kept, pair)
	}
	return strings.Join(kept, "&")
}
