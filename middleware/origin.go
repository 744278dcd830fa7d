package middleware

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
)

// Origins configures OriginGuard.
type Origins struct {
	// Lookup resolves a host name; nil means the system's resolver.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	// Except lets requests pass that other sites must be able to lead a browser to; nil means no exceptions.
	Except func(c echo.Context) bool
	// Logger receives a line for each refused request; nil means no log.
	Logger *slog.Logger
}

// OriginGuard refuses, with 403, requests that a page of another site makes to a server on this machine: those with
// Sec-Fetch-Site cross-site, and those whose Origin is not the Host while the Host is a loopback address. It answers
// every other OPTIONS request itself.
func OriginGuard(o Origins) echo.MiddlewareFunc {
	g := &originGuard{Origins: o, known: map[string]loopbackFact{}}
	if g.Lookup == nil {
		g.Lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	if g.Logger == nil {
		g.Logger = slog.New(slog.DiscardHandler)
	}
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			if g.refuses(r) && (g.Except == nil || !g.Except(c)) {
				return c.NoContent(http.StatusForbidden)
			}
			if r.Method == http.MethodOptions {
				return c.NoContent(http.StatusOK)
			}
			return next(c)
		}
	}
}

type originGuard struct {
	Origins
	mu    sync.Mutex
	known map[string]loopbackFact
}

type loopbackFact struct {
	loopback bool
	until    time.Time
}

func (g *originGuard) refuses(r *http.Request) bool {
	if r.Header.Get("Sec-Fetch-Site") == "cross-site" {
		return true
	}
	origin, given := r.Header["Origin"]
	if !given || r.Host == "" {
		return false
	}
	host := strings.ToLower(r.Host)
	from := strings.ToLower(netloc(origin[0]))
	hostName, hostPort, ok1 := splitPort(host)
	fromName, fromPort, ok2 := splitPort(from)
	if !ok1 || !ok2 {
		return true // an invalid port: no browser sends it
	}
	if fromPort == "" {
		host = hostName
	}
	if hostPort == "" {
		from = fromName
	}
	if host == "" || from == "" || host == from || !g.loopback(r.Context(), hostName) {
		return false
	}
	g.Logger.Warn("refusing a request whose origin is not its host", "host", host, "origin", from)
	return true
}

// netloc is the part of an origin between "//" and the next slash.
func netloc(origin string) string {
	_, rest, ok := strings.Cut(origin, "//")
	if !ok {
		return ""
	}
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	return rest
}

// splitPort splits host and port; an IPv6 address loses its brackets. It reports false for an invalid port.
func splitPort(s string) (name, port string, ok bool) {
	s = s[strings.LastIndexByte(s, '@')+1:]
	rest := s
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return "", "", false
		}
		name, rest = s[1:end], s[end+1:]
		_, port, _ = strings.Cut(rest, ":")
	} else {
		name, port, _ = strings.Cut(rest, ":")
	}
	for _, c := range port {
		if c < '0' || c > '9' {
			return "", "", false
		}
	}
	return name, port, len(port) <= 5
}

const (
	lookupTimeout = time.Second
	factsKept     = 256
	factAge       = time.Minute
)

// loopback reports whether every address of a host is a loopback address. Names are resolved, and cached for a minute.
func (g *originGuard) loopback(ctx context.Context, host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Unmap().IsLoopback()
	}
	if first, ok := oldAddress(host); ok {
		return first == 127
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	g.mu.Lock()
	fact, ok := g.known[host]
	g.mu.Unlock()
	if ok && time.Now().Before(fact.until) {
		return fact.loopback
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	addrs, err := g.Lookup(ctx, host)
	is := err == nil && len(addrs) > 0
	for _, a := range addrs {
		is = is && a.Unmap().IsLoopback()
	}
	g.mu.Lock()
	if len(g.known) >= factsKept {
		clear(g.known)
	}
	g.known[host] = loopbackFact{is, time.Now().Add(factAge)}
	g.mu.Unlock()
	return is
}

// oldAddress reads an address in one of the forms of inet_aton, which system resolvers take, as 127.1, 0x7f.1 and
// 2130706433; first is its first byte.
func oldAddress(host string) (first uint64, ok bool) {
	parts := strings.Split(host, ".")
	if len(parts) > 4 {
		return 0, false
	}
	for i, part := range parts {
		bits := 8
		if i == len(parts)-1 {
			bits = 8 * (5 - len(parts))
		}
		n, err := strconv.ParseUint(part, 0, bits)
		if err != nil || strings.ContainsAny(part, "_oObB") {
			return 0, false
		}
		if i == 0 {
			first = n >> (bits - 8)
		}
	}
	return first, true
}
