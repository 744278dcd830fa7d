package auth

import "strings"

// endpoint is a method and a route as the tables have them: without /api in front, GET for HEAD.
type endpoint struct{ method, route string }

// String is the endpoint as permissions are written.
func (e endpoint) String() string { return e.method + " " + e.route }

// normal is the endpoint of an access.
func (a Access) normal() (method, route string) {
	e := endpointOf(a.Method, a.Route)
	return e.method, e.route
}

// endpointOf normalizes a route's pattern for the tables of rules. Routes with and without /api are the same endpoint; paths
// without a route are served from the pages' folders, whose pattern is "/*" or empty.
func endpointOf(method, route string) endpoint {
	if method == "HEAD" {
		method = "GET"
	}
	for strings.HasPrefix(route, "/api/") {
		route = route[len("/api"):]
	}
	switch route {
	case "", "/api":
		route = RouteStatic
	}
	return endpoint{method, route}
}

// permission returns the name of the missing permission.
func permission(e endpoint, workflow string) string {
	if workflow == "" {
		return e.String()
	}
	return e.String() + " for workflow " + workflow
}

// covers reports whether a grant is one for an endpoint. Patterns stand only for routes that have a rule; other
// requests are refused before covers is called.
func (g Grant) covers(e endpoint) bool {
	if g.Method != "*" && g.Method != e.method {
		return false
	}
	if g.Route == "*" || g.Route == e.route {
		return true
	}
	prefix, ok := strings.CutSuffix(g.Route, "/*")
	return ok && prefix != "" && strings.HasPrefix(e.route, prefix+"/")
}

// Includes reports whether a permission allows all that another, narrower one allows.
func (g Grant) Includes(narrow Grant) bool {
	method := strings.ToUpper(narrow.Method)
	if method == "HEAD" {
		method = "GET"
	}
	workflow := or(narrow.Workflow, AnyWorkflow)
	to := endpointOf(method, narrow.Route)
	same := g.Method == method && g.Route == to.route && g.Workflow == workflow
	return !same && (g.Workflow == AnyWorkflow || g.Workflow == workflow || g.Workflow == RegisteredWorkflow && workflow != AnyWorkflow) && g.covers(endpoint{method, to.route})
}
