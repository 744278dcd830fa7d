package access

import (
	"context"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"comfygo/auth"
	"comfygo/folders"
	"comfygo/middleware"
	"comfygo/queue"
	"comfygo/server/reply"
)

// anonymousAdmin is the principal of every request when authentication is disabled.
var anonymousAdmin, _ = auth.Open{}.Authenticate(context.Background(), auth.Credential{})

// Guarded reports whether requests have to be authenticated.
func (s *Service) Guarded() bool { return s.Gate.Mode() != auth.ModeOff }

// Owned reports whether jobs and files have owners.
func (s *Service) Owned() bool { return s.Gate.Mode() == auth.ModeStore }

// Who returns the principal of a request.
func (s *Service) Who(c echo.Context) auth.Principal {
	if !s.Guarded() {
		return anonymousAdmin
	}
	return auth.FromContext(c.Request().Context())
}

// MayRun refuses callers that may not run arbitrary prompts.
func (s *Service) MayRun(c echo.Context) error {
	// Code of a pack may do whatever a workflow may: permission for some workflows only does not suffice.
	if err := s.Gate.Allow(s.Who(c), auth.Access{Method: http.MethodPost, Route: "/prompt", Workflow: auth.AnyWorkflow}); err != nil {
		return reply.Refuse(http.StatusForbidden, "forbidden", "You may not do this",
			"the route runs code of a node pack, for which the permission to send any prompt is needed: "+err.Error())
	}
	return nil
}

// Sees reports whether the caller may see the server's information about itself.
func (s *Service) Sees(c echo.Context) bool { return s.Who(c).Admin }

// NoOwner owns nothing; no principal has this id.
const NoOwner = "?"

// Scope returns the jobs that a request may access: the caller's own, or all for an administrator, who may choose one owner by
// ?owner=. Without authentication it returns all. A request for the jobs of another owner finds nothing.
func (s *Service) Scope(c echo.Context) queue.Scope {
	if !s.Owned() {
		return queue.Scope{}
	}
	p := s.Who(c)
	asked, given := reply.Query(c, "owner")
	switch {
	case p.Admin && !given:
		return queue.Scope{}
	case p.Admin:
		return queue.Scope{One: true, Owner: s.ownerNamed(c.Request().Context(), asked)}
	case given && asked != p.ID && asked != p.Name, p.ID == "":
		return queue.Scope{One: true, Owner: NoOwner}
	}
	return queue.Scope{One: true, Owner: p.ID, Shared: s.listsShared(c, p)}
}

// OwnerNamed answers 404 to a caller that names another owner in ?owner= and is not an administrator: jobs, files and folders of
// others are not visible, not even as empty ones.
func (s *Service) OwnerNamed(next echo.HandlerFunc) echo.HandlerFunc {
	if !s.Owned() {
		return next
	}
	return func(c echo.Context) error {
		asked, given := reply.Query(c, "owner")
		if p := s.Who(c); given && !p.Admin && (p.ID == "" || asked != p.ID && asked != p.Name) {
			return middleware.Refuse(c, http.StatusNotFound, "not_found", "There is no such owner", "only an administrator may name another owner")
		}
		return next(c)
	}
}

// ownerNamed returns the id of a user by id or name; or the text itself if there is no such user, since jobs outlive their users.
func (s *Service) ownerNamed(ctx context.Context, text string) string {
	store, ok := s.Gate.(interface {
		User(ctx context.Context, idOrName string) (auth.User, error)
	})
	if !ok || text == "" {
		return text
	}
	if u, err := store.User(ctx, text); err == nil {
		return u.ID
	}
	return text
}

// Jobs is the queue as far as a request may see and change it.
func (s *Service) Jobs(c echo.Context) queue.View {
	if scope := s.Scope(c); scope.One {
		return s.Queue.In(scope)
	}
	return s.Queue
}

// Folders are those that a request sees: its owner's, or those of ?owner= for an administrator, where an empty one stands
// for the common folders.
func (s *Service) Folders(c echo.Context) *folders.Folders {
	if !s.Owned() {
		return s.Common
	}
	if scope := s.Scope(c); scope.One {
		return s.Common.For(scope.Owner)
	}
	return s.Common.For(s.Who(c).ID)
}

// OwnFolders returns the folders of the caller, where its jobs read and write.
func (s *Service) OwnFolders(c echo.Context) *folders.Folders { return s.FoldersOf(s.Who(c).ID) }

// FoldersOf are the folders of an owner.
func (s *Service) FoldersOf(owner string) *folders.Folders {
	if !s.Owned() {
		return s.Common
	}
	return s.Common.For(owner)
}

// Bare is a route's pattern without /api.
func Bare(c echo.Context) string { return strings.TrimPrefix(c.Path(), "/api") }

// Queues reports whether a request puts a job into the queue.
func Queues(c echo.Context) bool {
	if c.Request().Method != http.MethodPost {
		return false
	}
	switch Bare(c) {
	case "/prompt", "/v2/jobs", "/workflows/:name/run":
		return true
	}
	return false
}

// OpensSockets reports whether a request opens a WebSocket.
func OpensSockets(c echo.Context) bool { return Bare(c) == "/ws" }

// WorkflowNamed is the registered workflow that a request is about.
func WorkflowNamed(c echo.Context) string {
	if path := Bare(c); path == "/workflows/:name" || path == "/workflows/:name/run" {
		return reply.Param(c, "name")
	}
	return ""
}

// UserOwner returns the owner of the settings and files that a request accesses: the caller, or ?owner= for an administrator.
func (s *Service) UserOwner(r *http.Request) string {
	p := auth.FromContext(r.Context())
	if !p.Admin {
		return p.ID
	}
	for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
		if name, value, _ := strings.Cut(pair, "="); reply.UnquoteQuery(name) == "owner" {
			return s.ownerNamed(r.Context(), reply.UnquoteQuery(value))
		}
	}
	return p.ID
}
