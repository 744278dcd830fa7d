package auth

import "strings"

// Rule lists the roles that may use an endpoint before an administrator changes anything.
type Rule struct {
	Method, Route string
	// Open allows every request, without a credential too.
	Open bool
	// Roles are those of the built-in ones that may; Administrator always may and is not among them.
	Roles []string
	// Workflow restricts the roles to some workflows: role to pattern. Others have AnyWorkflow.
	Workflow map[string]string
}

// who is a set of roles in a rule.
type who int

const (
	admins who = iota
	open
	all   // User, Viewer and Guest
	users // User and Guest
	read  // User and Viewer
	user
)

var roles = map[who][]string{
	all: {RoleUser, RoleViewer, RoleGuest}, users: {RoleUser, RoleGuest}, read: {RoleUser, RoleViewer}, user: {RoleUser},
}

// defaults has one line for every route of the server, as "METHOD ROUTE". It has no patterns on purpose: a route without
// a line is refused, and a test of the server finds it.
var defaults = []struct {
	who    who
	routes string
}{
	// Pages, and the endpoints that show load balancers that a server runs.
	{open, `
		GET /*
		GET /
		GET /health
		GET /ready
		GET /login
		POST /login
		POST /logout
		GET /app
		GET /app/*
		GET /manage
		GET /manage/*
		GET /openapi.json
		GET /openapi.yaml
		GET /docs
		GET /docs/api
		GET /docs/*
		GET /auth/oidc/login
		GET /auth/oidc/callback`},
	// What every user may see of their own account and jobs.
	{all, `
		GET /ws
		GET /events
		GET /auth/me
		POST /auth/token
		GET /prompt
		GET /queue
		GET /history
		GET /history/:prompt_id
		GET /jobs
		GET /jobs/:job_id
		GET /view
		GET /features
		GET /extensions
		GET /i18n
		GET /users
		GET /settings
		GET /settings/:id
		GET /workflows`},
	// Running, and ending what one runs; for guests public workflows only.
	{users, `
		POST /prompt
		POST /queue
		POST /interrupt
		POST /jobs/cancel
		POST /jobs/:job_id/cancel
		POST /v1/queue/cancel
		POST /upload/image
		POST /workflows/:name/run`},
	{all, `
		GET /workflows/:name`},
	// What an image can be made with.
	{read, `
		GET /object_info
		GET /object_info/:node_class
		GET /system_stats
		GET /view_metadata/:folder_name
		GET /embeddings
		GET /models
		GET /models/:folder
		GET /v1/models/:folder
		GET /experiment/models
		GET /experiment/models/:folder
		GET /experiment/models/preview/:folder/:path_index/*
		GET /workflow_templates
		GET /global_subgraphs
		GET /global_subgraphs/:id
		GET /node_replacements
		GET /internal/files/:directory_type
		GET /v1/queue
		GET /v1/queue/events`},
	// The user's own settings and files.
	{read, `
		POST /settings
		POST /settings/:id
		GET /userdata
		GET /v2/userdata
		GET /userdata/:file
		GET /assets
		GET /assets/:id
		GET /assets/:id/content
		GET /assets/hash/:hash
		GET /assets/tags/refine
		GET /assets/seed/status
		GET /tags`},
	{user, `
		POST /workflow/convert
		POST /userdata/:file
		DELETE /userdata/:file
		POST /userdata/:file/move/:dest
		POST /upload/mask
		POST /jobs/:job_id/share
		POST /history
		POST /free
		POST /assets
		POST /assets/from-hash
		PUT /assets/:id
		DELETE /assets/:id
		POST /assets/:id/tags
		DELETE /assets/:id/tags`},
	// Comfy API v2.
	{read, `
		GET /v2/assets
		GET /v2/assets/:id
		GET /v2/assets/:id/content
		GET /v2/assets/by-hash/:hash
		GET /v2/jobs
		GET /v2/jobs/:id
		GET /v2/jobs/:id/workflow
		GET /v2/jobs/:id/events`},
	{user, `
		POST /v2/assets
		POST /v2/assets/from-hash
		DELETE /v2/assets/:id
		POST /v2/jobs
		POST /v2/jobs/:id/cancel`},
	// What affects all users, or reports on all users.
	{admins, `
		POST /users
		GET /internal/logs
		GET /internal/logs/raw
		PATCH /internal/logs/subscribe
		GET /internal/folder_paths
		GET /workers
		POST /workers/:id/drain
		POST /workers/:id/resume
		POST /v1/queue/pause
		POST /v1/queue/resume
		POST /v1/queue/move
		POST /v1/queue/priority
		GET /v1/packs
		POST /v1/packs/reload
		POST /assets/seed
		POST /assets/seed/cancel
		POST /assets/prune
		GET /metrics
		POST /workflows
		PUT /workflows/:name
		DELETE /workflows/:name
		GET /auth/keys
		POST /auth/keys
		GET /auth/keys/:id
		DELETE /auth/keys/:id
		POST /auth/keys/:id/rotate
		GET /auth/users
		POST /auth/users
		GET /auth/users/:id
		PATCH /auth/users/:id
		DELETE /auth/users/:id
		GET /auth/roles
		POST /auth/roles
		GET /auth/roles/:name
		PATCH /auth/roles/:name
		DELETE /auth/roles/:name
		POST /auth/roles/:name/permissions
		DELETE /auth/roles/:name/permissions
		GET /auth/permissions
		GET /auth/audit
		GET /auth/sessions
		DELETE /auth/sessions/:id`},
}

// aboutWorkflows are the endpoints at which guests are held to public workflows.
var aboutWorkflows = map[endpoint]bool{
	{"POST", "/prompt"}:              true,
	{"POST", "/workflows/:name/run"}: true,
	{"GET", "/workflows/:name"}:      true,
}

// endpointPrompt is the endpoint that accepts graphs.
var endpointPrompt = endpoint{"POST", "/prompt"}

// DefaultRules is the table of the built-in roles' permissions, one rule for each endpoint, in its written order.
func DefaultRules() []Rule {
	var rules []Rule
	for _, group := range defaults {
		for line := range strings.FieldsFuncSeq(group.routes, func(r rune) bool { return r == '\n' }) {
			method, route, ok := strings.Cut(strings.TrimSpace(line), " ")
			if !ok {
				continue
			}
			rule := Rule{Method: method, Route: route, Open: group.who == open, Roles: roles[group.who]}
			if aboutWorkflows[endpoint{method, route}] {
				rule.Workflow = map[string]string{RoleGuest: PublicWorkflow}
			}
			rules = append(rules, rule)
		}
	}
	return rules
}

// ruled are the endpoints of DefaultRules.
var ruled = func() map[endpoint]Rule {
	m := map[endpoint]Rule{}
	for _, r := range DefaultRules() {
		m[endpoint{r.Method, r.Route}] = r
	}
	return m
}()

// HasRule reports whether exactly this route has a rule. Without one only administrators may use the route.
func HasRule(method, route string) bool {
	_, ok := ruled[endpointOf(method, route)]
	return ok
}
