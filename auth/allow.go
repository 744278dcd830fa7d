package auth

import (
	"slices"
	"strings"
)

// Allow implements Gate. Both the key's role and its owner's have to allow.
func (s *Store) Allow(p Principal, a Access) error {
	method, route := a.normal()
	e := endpoint{method, route}
	snap := s.snap.Load()
	if p.Anonymous() {
		if snap.open[e] {
			return nil
		}
		return ErrNoCredential
	}
	if p.Admin || snap.open[e] {
		return nil
	}
	for _, role := range p.roles() {
		if !snap.permits(role, e, a.Workflow) {
			return &DeniedError{Permission: permission(e, a.Workflow), Role: role}
		}
	}
	return nil
}

// Permissions lists what a principal may use, as "METHOD ROUTE" with the route below /api; where it may only for some workflows their
// patterns follow ("POST /prompt @public"). An administrator's list is nil: everything. The order is that of DefaultRules.
func (s *Store) Permissions(p Principal) []string {
	if p.Admin {
		return nil
	}
	snap, list := s.snap.Load(), []string{}
	for _, rule := range DefaultRules() {
		e := endpoint{rule.Method, rule.Route}
		if snap.open[e] {
			list = append(list, e.method+" "+e.route)
			continue
		}
		if p.Anonymous() || slices.ContainsFunc(p.roles(), func(role string) bool { return !snap.permits(role, e, "") }) {
			continue
		}
		line := e.method + " " + e.route
		for _, name := range p.roles() {
			if role := snap.roles[name]; !role.admin && !slices.Contains(role.permits[e], AnyWorkflow) {
				line += " " + strings.Join(role.permits[e], " ")
			}
		}
		list = append(list, line)
	}
	return list
}

// roles returns the roles that all have to allow a request.
func (p Principal) roles() []string {
	if p.Within == "" || p.Within == p.Role {
		return []string{p.Role}
	}
	return []string{p.Role, p.Within}
}

// permits reports whether a role has a permission: for the endpoint at all, or there for one workflow.
func (n *snapshot) permits(role string, e endpoint, workflow string) bool {
	r := n.roles[role]
	switch {
	case r == nil:
		return false
	case r.admin:
		return true
	}
	patterns := r.permits[e]
	if workflow == "" {
		return len(patterns) > 0
	}
	return slices.ContainsFunc(patterns, func(pattern string) bool { return n.stands(pattern, workflow) })
}

// stands reports whether a workflow pattern matches a workflow.
func (n *snapshot) stands(pattern, workflow string) bool {
	w := n.workflows[workflow]
	switch pattern {
	case AnyWorkflow:
		return true
	case RegisteredWorkflow:
		return w != nil
	case PublicWorkflow:
		return w != nil && w.Public
	}
	return pattern == workflow
}

// Limits implements Gate.
func (s *Store) Limits(p Principal) Limits {
	if p.Admin || p.Anonymous() {
		return Limits{}
	}
	snap := s.snap.Load()
	var l Limits
	for _, role := range p.roles() {
		if r := snap.roles[role]; r != nil {
			l = l.stricter(r.limits)
		}
	}
	return l
}

// stricter returns the lower of each limit; 0 means no limit.
func (l Limits) stricter(o Limits) Limits {
	return Limits{
		Queued: lower(l.Queued, o.Queued), Megapixels: lower(l.Megapixels, o.Megapixels), UploadBytes: lower(l.UploadBytes, o.UploadBytes),
		UploadTotal: lower(l.UploadTotal, o.UploadTotal),
		Requests:    lower(l.Requests, o.Requests), RequestsBurst: lower(l.RequestsBurst, o.RequestsBurst),
		Prompts: lower(l.Prompts, o.Prompts), PromptsBurst: lower(l.PromptsBurst, o.PromptsBurst),
	}
}

func lower[T int | int64 | float64](a, b T) T {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// AllowPrompt implements Gate.
func (s *Store) AllowPrompt(p Principal, graph []byte) (string, error) {
	if p.Anonymous() {
		return "", ErrNoCredential
	}
	snap := s.snap.Load()
	if p.Admin || !slices.ContainsFunc(p.roles(), func(role string) bool { return !snap.anyGraph(role) }) {
		return "", nil
	}
	given, err := parseGraph(graph)
	if err != nil {
		return "", &GraphError{Role: p.Role, Difference: err.Error()}
	}
	refusal := &GraphError{Role: p.Role, Difference: "none is open to it"}
	nearest := -1
	for _, w := range snap.sortedWorkflows() {
		if slices.ContainsFunc(p.roles(), func(role string) bool { return !snap.permits(role, endpointPrompt, w.Name) }) {
			continue
		}
		n, first := w.compare(given)
		if n == 0 {
			return w.Name, nil
		}
		if nearest < 0 || n < nearest {
			nearest, refusal.Workflow, refusal.Difference = n, w.Name, first
		}
	}
	return "", refusal
}

// anyGraph reports whether a role may run any graph.
func (n *snapshot) anyGraph(role string) bool {
	r := n.roles[role]
	return r != nil && (r.admin || slices.Contains(r.permits[endpointPrompt], AnyWorkflow))
}
