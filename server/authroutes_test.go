package server_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"comfygo/auth"
)

// TestEveryRouteHasARule reads the routes from the server: one without a rule would be closed to all but administrators
// without anybody having thought about it, and a rule without a route is a mistake in writing.
func TestEveryRouteHasARule(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	for _, route := range r.server.Routes() {
		method, pattern, _ := strings.Cut(route, " ")
		if !auth.HasRule(method, pattern) {
			t.Errorf("%s has no rule in auth/defaults.go", route)
		}
	}
}

// allowed reports whether a role may use a route by its rule.
func allowed(rule auth.Rule, role string) bool {
	return rule.Open || role == auth.RoleAdministrator || slices.Contains(rule.Roles, role)
}

// TestEveryRouteByRole tries every route of the server without a credential, with invalid ones, and
// for each role with each form of credential. The expected result is read from the table of rules.
func TestEveryRouteByRole(t *testing.T) {
	t.Parallel()
	a := startAuth(t, nil, nil)
	register(t, a)
	rules := map[string]auth.Rule{}
	for _, r := range auth.DefaultRules() {
		rules[r.Method+" "+r.Route] = r
	}
	for _, route := range a.server.Routes() {
		method, pattern, _ := strings.Cut(route, " ")
		plain := pattern
		for strings.HasPrefix(plain, "/api/") { // twins; routes of /api have twins too
			plain = strings.TrimPrefix(plain, "/api")
		}
		rule, ok := rules[strings.Replace(method, "HEAD", "GET", 1)+" "+plain]
		if !ok {
			t.Errorf("%s has no rule", route)
			continue
		}
		path := strings.NewReplacer(":name", "pub", ":id", "x", ":", "", "*", "x").Replace(pattern)
		a.tryUnauthenticated(t, route, method, path, rule)
		a.tryRoles(t, route, method, path, rule)
	}
}

// register registers a public workflow called pub.
func register(t *testing.T, a *authRig) {
	t.Helper()
	_, err := a.store.PutWorkflow(context.Background(), byAdmin, auth.Workflow{
		Name: "pub", Public: true, Graph: json.RawMessage(graphOf(1)), Free: []auth.FreeInput{{Name: "value", Node: "1", Input: "value"}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (a *authRig) tryUnauthenticated(t *testing.T, route, method, path string, rule auth.Rule) {
	t.Helper()
	check := func(what string, got httpReply) {
		refused := got.status == 401 && (method == "HEAD" || strings.Contains(got.body, `"type": "unauthorized"`) || strings.Contains(got.body, `"code":"unauthorized"`))
		if route == "POST /login" || route == "GET /api/auth/oidc/callback" {
			return // answers 401 and the like by itself
		}
		if refused == rule.Open || refused && got.header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%s with %s: %d %.100s", route, what, got.status, got.body)
		}
	}
	check("nothing", a.do(method, path, ""))
	for name, way := range a.ways() {
		if name == "token" || name == "cookie" {
			continue // invalid keys have none
		}
		for _, who := range []string{"bad", "revoked", "expired"} {
			query, headers := way(who)
			check(who+" as "+name, a.do(method, path+query, "", headers...))
		}
	}
	check("a token that is none", a.do(method, path, "", "Authorization", "Bearer aaaa.bbbb.cccc"))
	check("a cookie that is none", a.do(method, path, "", "Cookie", "comfygo_session=nonsense", "Origin", a.url))
}

func (a *authRig) tryRoles(t *testing.T, route, method, path string, rule auth.Rule) {
	t.Helper()
	for _, who := range []string{"gus", "vera", "ann", "root"} {
		role := roleOf[who]
		for name, way := range a.ways() {
			query, headers := way(who)
			got := a.do(method, path+query, "", headers...)
			denied := got.status == 403 && (method == "HEAD" || strings.Contains(got.body, `"permission": "`) || strings.Contains(got.body, "lacks the permission"))
			if method == "HEAD" && got.status == 403 {
				denied = !allowed(rule, role) // handlers answer 403 as well, and the two look alike
			}
			if got.status == 401 && route != "POST /login" || denied == allowed(rule, role) {
				t.Errorf("%s for %s as %s: %d %.160s; the rule is %+v", route, role, name, got.status, got.body, rule)
			}
			named := strings.Contains(got.body, `"permission": "`+rule.Method+" "+rule.Route) || strings.Contains(got.body, `the permission \"`+rule.Method+" "+rule.Route)
			if denied && method != "HEAD" && !named {
				t.Errorf("%s for %s: the answer does not name the permission: %s", route, role, got.body)
			}
		}
	}
	if strings.HasPrefix(route, "DELETE /api/workflows") {
		register(t, a)
	}
}
