package python

import (
	"context"
	"net"
	"net/http"
	"net/http/httputil"
	"regexp"
	"strings"

	"comfygo/internal/pyhost"
	"comfygo/internal/pyjson"
)

// routeTable is what packs have added to the server that they see.
type routeTable struct {
	session *pyhost.Session
	routes  []packRoute
	proxy   *httputil.ReverseProxy
}

type packRoute struct {
	method string // "*" for any
	path   *regexp.Regexp
}

// credentials are the headers that say who makes a request: packs have no business with them.
var credentials = []string{"Authorization", "Cookie", "X-Api-Key", "Proxy-Authorization"}

// newRouteTable reads the routes of a life of the process; nil when it has none.
func newRouteTable(s *pyhost.Session) *routeTable {
	socket := s.Ready().String("http")
	if socket == "" {
		return nil
	}
	t := &routeTable{session: s}
	for _, e := range listIn(s.Ready(), "routes") {
		pair, _ := e.([]any)
		if len(pair) != 2 {
			continue
		}
		method, _ := pair[0].(string)
		path, _ := pair[1].(string)
		t.routes = append(t.routes, packRoute{method, pattern(path)})
	}
	t.proxy = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", "localhost"
			r.Out.Host = "localhost"
			for _, name := range credentials {
				r.Out.Header.Del(name)
			}
			r.Out.Header.Del("Origin") // the server has looked at it, and the host is another one here
			r.SetXForwarded()
		},
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		}},
		FlushInterval: -1,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			http.Error(w, "the Python process of the node packs does not answer; it is started again", http.StatusServiceUnavailable)
		},
	}
	return t
}

// parameter is a variable part of aiohttp's paths, {name} or {name:expression}.
var parameter = regexp.MustCompile(`\{[^{}:]+(?::((?:[^{}]|\{[^{}]*\})*))?\}`)

// pattern makes an expression of a path of aiohttp. An expression that Go does not know stands for anything.
func pattern(path string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`^(?:/api)?`)
	at := 0
	for _, m := range parameter.FindAllStringSubmatchIndex(path, -1) {
		b.WriteString(regexp.QuoteMeta(path[at:m[0]]))
		part := `[^{}/]+`
		if m[2] >= 0 {
			part = path[m[2]:m[3]]
			if _, err := regexp.Compile(part); err != nil {
				part = `.*`
			}
		}
		b.WriteString("(?:" + part + ")")
		at = m[1]
	}
	b.WriteString(regexp.QuoteMeta(path[at:]) + "$")
	return regexp.MustCompile(b.String())
}

// has reports whether a route of a pack takes the request.
func (t *routeTable) has(r *http.Request) bool {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for _, route := range t.routes {
		if (route.method == "*" || route.method == method) && route.path.MatchString(r.URL.Path) {
			return true
		}
	}
	return false
}

// Takes reports whether a route of a pack takes a request that none of the server's own does.
func (b *Bridge) Takes(r *http.Request) bool {
	t := b.routes.Load()
	return t != nil && t.session.Live() && t.has(r)
}

// ServeHTTP answers a request that Takes has accepted, without the caller's credentials.
func (b *Bridge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t := b.routes.Load()
	if t == nil {
		http.NotFound(w, r)
		return
	}
	t.proxy.ServeHTTP(w, r)
}

// current is the life of now, without waiting; nil when there is none.
func (b *Bridge) current() *pyhost.Session {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.of == nil || !b.of.Live() {
		return nil
	}
	return b.of
}

// Packs describes the packs and how their import went, as the host said it; nil without a host that runs.
func (b *Bridge) Packs() []*pyjson.Object {
	s := b.current()
	if s == nil {
		return nil
	}
	var out []*pyjson.Object
	for _, p := range listIn(s.Ready(), "packs") {
		if o, ok := p.(*pyjson.Object); ok {
			out = append(out, o)
		}
	}
	return out
}
