package packs

import (
	"context"
	"net"
	"net/http"
	"net/http/httputil"
	"regexp"
	"strings"
	"sync"

	"comfygo/internal/pyhost"
)

// routeTable holds the routes that packs have added to their server.
type routeTable struct {
	routes []packRoute
	proxy  *httputil.ReverseProxy
}

type packRoute struct {
	method string // "*" for any
	path   *regexp.Regexp
}

// credentials are the headers with credentials: they are not passed to packs.
var credentials = []string{"Authorization", "Cookie", "X-Api-Key", "Proxy-Authorization"}

// newRouteTable reads the routes of a life of the process.
func newRouteTable(s *pyhost.Session) *routeTable {
	t := &routeTable{}
	if s.Ready().String("http") == "" {
		return t
	}
	v, _ := s.Ready().Get("routes")
	list, _ := v.([]any)
	for _, e := range list {
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
			r.Out.Header.Del(pyhost.SecretHeader)
			if secret := s.Secret(); secret != "" {
				r.Out.Header.Set(pyhost.SecretHeader, secret)
			}
			r.SetXForwarded()
		},
		Transport:     &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return s.DialHTTP(ctx) }},
		FlushInterval: -1,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			http.Error(w, "the Python process of the node packs does not answer; it is started again", http.StatusServiceUnavailable)
		},
	}
	return t
}

// parameter is a variable part of aiohttp's paths, {name} or {name:expression}.
var parameter = regexp.MustCompile(`\{[^{}:]+(?::((?:[^{}]|\{[^{}]*\})*))?\}`)

// pattern makes a regular expression of a path of aiohttp. An expression that Go does not support matches anything.
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

// PythonRoutes are the routes that packs have added in Python processes.
type PythonRoutes struct {
	// Sessions are the processes' lives of now.
	Sessions func() []*pyhost.Session

	mu     sync.Mutex
	tables map[*pyhost.Session]*routeTable
}

var _ Routes = (*PythonRoutes)(nil)

// find returns the table that handles a request, or nil.
func (p *PythonRoutes) find(r *http.Request) *routeTable {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := make(map[*pyhost.Session]*routeTable, len(p.tables))
	var found *routeTable
	for _, s := range p.Sessions() {
		t := p.tables[s]
		if t == nil {
			t = newRouteTable(s)
		}
		now[s] = t
		if found == nil && t.has(r) {
			found = t
		}
	}
	p.tables = now
	return found
}

// Takes implements Routes.
func (p *PythonRoutes) Takes(r *http.Request) bool { return p.find(r) != nil }

// ServeHTTP answers a request that Takes has accepted, without the caller's credentials.
func (p *PythonRoutes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t := p.find(r)
	if t == nil || t.proxy == nil {
		http.NotFound(w, r)
		return
	}
	t.proxy.ServeHTTP(w, r)
}
