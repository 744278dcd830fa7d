package server

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/labstack/echo/v4"

	"comfygo/auth"
	"comfygo/folders"
	"comfygo/middleware"
	"comfygo/queue"
	"comfygo/web"
)

// everybody is who makes every request where nobody is asked.
var everybody, _ = auth.Open{}.Authenticate(context.Background(), auth.Credential{})

// guarded reports whether requests have to say who makes them.
func (s *Server) guarded() bool { return s.gate.Mode() != auth.ModeOff }

// owned reports whether jobs and files belong to somebody.
func (s *Server) owned() bool { return s.gate.Mode() == auth.ModeStore }

// who makes a request.
func (s *Server) who(c echo.Context) auth.Principal {
	if !s.guarded() {
		return everybody
	}
	return auth.FromContext(c.Request().Context())
}

// sees reports whether who makes a request may see what the server knows of itself.
func (s *Server) sees(c echo.Context) bool { return s.who(c).Admin }

// nobody owns nothing; no principal has this id.
const nobody = "?"

// scope says whose jobs a request is about: one's own, or everybody's for an administrator, who may choose one owner by
// ?owner=. It is everybody's where owners are not told apart. Who asks for somebody else's finds nothing.
func (s *Server) scope(c echo.Context) queue.Scope {
	if !s.owned() {
		return queue.Scope{}
	}
	p := s.who(c)
	asked, given := query(c, "owner")
	switch {
	case p.Admin && !given:
		return queue.Scope{}
	case p.Admin:
		return queue.Scope{One: true, Owner: s.ownerNamed(c.Request().Context(), asked)}
	case given && asked != p.ID && asked != p.Name, p.ID == "":
		return queue.Scope{One: true, Owner: nobody}
	}
	return queue.Scope{One: true, Owner: p.ID, Shared: s.listsShared(c, p)}
}

// ownerNamed is the id of a user by id or name; the text itself when there is none, since jobs outlive their users.
func (s *Server) ownerNamed(ctx context.Context, text string) string {
	store, ok := s.gate.(interface {
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

// jobs is the queue as far as a request may see and change it.
func (s *Server) jobs(c echo.Context) queue.View {
	if scope := s.scope(c); scope.One {
		return s.queue.In(scope)
	}
	return s.queue
}

// folders are those that a request sees: its owner's, or those of ?owner= for an administrator, where an empty one stands
// for the common folders.
func (s *Server) folders(c echo.Context) *folders.Folders {
	if !s.owned() {
		return s.cfg.Folders
	}
	if scope := s.scope(c); scope.One {
		return s.cfg.Folders.For(scope.Owner)
	}
	return s.cfg.Folders.For(s.who(c).ID)
}

// ownFolders are the folders of who makes a request, where its jobs read and write.
func (s *Server) ownFolders(c echo.Context) *folders.Folders { return s.foldersOf(s.who(c).ID) }

// foldersOf are the folders of an owner.
func (s *Server) foldersOf(owner string) *folders.Folders {
	if !s.owned() {
		return s.cfg.Folders
	}
	return s.cfg.Folders.For(owner)
}

// asksWho is the middleware that asks who makes a request; nil where nobody is asked.
func (s *Server) asksWho() echo.MiddlewareFunc {
	if !s.guarded() {
		return nil
	}
	return middleware.Authenticate(middleware.Authentication{
		Gate: s.gate, Public: s.public, Prompts: queues, Socket: opensSockets, Page: s.askPage, Workflow: workflowNamed,
		ProxyHeader: s.cfg.AuthProxyHeader, Proxies: s.cfg.AuthProxies,
	})
}

// bare is a route's pattern without /api.
func bare(c echo.Context) string { return strings.TrimPrefix(c.Path(), "/api") }

// queues reports whether a request puts a job into the queue.
func queues(c echo.Context) bool {
	if c.Request().Method != http.MethodPost {
		return false
	}
	switch bare(c) {
	case "/prompt", "/v2/jobs", "/workflows/:name/run":
		return true
	}
	return false
}

func opensSockets(c echo.Context) bool { return bare(c) == "/ws" }

// workflowNamed is the registered workflow that a request is about.
func workflowNamed(c echo.Context) string {
	if path := bare(c); path == "/workflows/:name" || path == "/workflows/:name/run" {
		return param(c, "name")
	}
	return ""
}

// public reports whether a request is for a file of the frontend: our own pages, or a file below the frontend's root.
// Files of packs and of users are none, though they look alike from outside.
func (s *Server) public(c echo.Context) bool {
	r := c.Request()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	switch c.Path() {
	case "/app":
		return true
	case "/app/*":
		name := strings.TrimPrefix(r.URL.Path, "/app/")
		_, ok := web.Open(name)
		return ok || name == "" // which leads to /app
	case "":
		return s.frontendFile(r.URL.Path)
	}
	return false
}

// frontendFile reports whether a path that no route takes leads to a file of the frontend, by the rules of static.
func (s *Server) frontendFile(path string) bool {
	if strings.HasPrefix(path, "/internal/") || strings.HasPrefix(path, "/templates/") {
		return false
	}
	if _, _, ok := s.mounted(path); ok {
		return false
	}
	if s.cfg.FrontEndRoot == "" {
		return path == "/index.html"
	}
	name := strings.TrimPrefix(path, "/")
	if name == "" || strings.HasPrefix(name, "/") || strings.ContainsRune(name, 0) {
		return false
	}
	full := filepath.Join(s.cfg.FrontEndRoot, filepath.FromSlash(name))
	if !lexicallyWithin(s.cfg.FrontEndRoot, full) || !folders.Within(s.cfg.FrontEndRoot, full) {
		return false
	}
	info, err := os.Stat(full)
	return err == nil && info.Mode().IsRegular()
}

// userOwner is whose settings and files a request deals with: one's own, or those of ?owner= for an administrator.
func (s *Server) userOwner(r *http.Request) string {
	p := auth.FromContext(r.Context())
	if !p.Admin {
		return p.ID
	}
	for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
		if name, value, _ := strings.Cut(pair, "="); unquoteQuery(name) == "owner" {
			return s.ownerNamed(r.Context(), unquoteQuery(value))
		}
	}
	return p.ID
}

// tellOwners tells the hub how many jobs each owner has; from then on that is news of the queue.
func (s *Server) tellOwners() {
	running, pending := s.queue.Snapshot()
	counts := map[string]int{}
	for _, j := range append(running, pending...) {
		counts[j.Owner]++
	}
	s.hub.Owners(counts)
}
