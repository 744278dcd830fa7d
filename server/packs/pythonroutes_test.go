package packs

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestPattern(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		route, path string
		want        bool
	}{
		{"/pack/list", "/pack/list", true},
		{"/pack/list", "/api/pack/list", true},
		{"/pack/list", "/pack/list/more", false},
		{"/pack/{name}", "/pack/a b", true},
		{"/pack/{name}", "/pack/a/b", false},
		{"/pack/{rest:.*}", "/pack/a/b", true},
		{"/pack/{n:\\d{2}}.json", "/pack/42.json", true},
		{"/pack/{n:\\d{2}}.json", "/pack/4.json", false},
		{"/pack/{odd:(?<=x)y}", "/pack/anything", true}, // an expression that Go does not know
		{"/pack/a.b", "/pack/axb", false},
	} {
		if got := pattern(c.route).MatchString(c.path); got != c.want {
			t.Errorf("route %s takes %s: %v, want %v", c.route, c.path, got, c.want)
		}
	}
}

func TestRouteMethods(t *testing.T) {
	t.Parallel()
	table := &routeTable{routes: []packRoute{{"GET", pattern("/g")}, {"POST", pattern("/p")}, {"*", pattern("/any")}}}
	for _, c := range []struct {
		method, path string
		want         bool
	}{
		{http.MethodGet, "/g", true},
		{http.MethodHead, "/g", true},
		{http.MethodPost, "/g", false},
		{http.MethodPost, "/p", true},
		{http.MethodDelete, "/any", true},
		{http.MethodGet, "/other", false},
	} {
		if got := table.has(httptest.NewRequestWithContext(t.Context(), c.method, c.path, nil)); got != c.want {
			t.Errorf("%s %s: %v, want %v", c.method, c.path, got, c.want)
		}
	}
}
