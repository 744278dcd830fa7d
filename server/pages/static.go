package pages

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"comfygo/folders"
	"comfygo/server/disk"
	"comfygo/server/reply"
	"comfygo/server/v2"
)

// Fallback is behind all routes: paths without a route are served from the static files, as upstream's static resource
// takes every path for GET and HEAD.
func (s *Service) Fallback(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if !s.paramsGiven(c) {
			return s.Unrouted(c, nil)
		}
		err := next(c)
		var e *echo.HTTPError
		if !errors.As(err, &e) || c.Response().Committed {
			return err
		}
		switch e.Code {
		case http.StatusNotFound:
			return s.Unrouted(c, nil)
		case http.StatusMethodNotAllowed:
			return s.Unrouted(c, allowed(c))
		}
		return err
	}
}

// paramsGiven reports whether each parameter of the matched route is one part of the path and not empty; upstream's
// routes do not match otherwise. A slash written as %2F does not end a part.
func (s *Service) paramsGiven(c echo.Context) bool {
	for i, name := range c.ParamNames() {
		if v := c.ParamValues()[i]; name != "*" && (v == "" || strings.Contains(v, "/")) {
			return false
		}
	}
	return true
}

func allowed(c echo.Context) []string {
	header, _ := c.Get(echo.ContextKeyHeaderAllow).(string)
	var methods []string
	for m := range strings.SplitSeq(header, ",") {
		if m = strings.TrimSpace(m); m != "" && m != http.MethodOptions {
			methods = append(methods, m)
		}
	}
	return methods
}

// Unrouted answers what no route takes; methods are those that the path has routes for.
func (s *Service) Unrouted(c echo.Context, methods []string) error {
	r := c.Request()
	path := r.URL.Path
	if v2.Covers(path) {
		if len(methods) == 0 {
			return reply.Raise(http.StatusNotFound)
		}
		return &reply.Raised{Status: http.StatusMethodNotAllowed, Allow: joinMethods(methods)}
	}
	if path == "/internal" || strings.HasPrefix(path, "/internal/") { // a separate application, without static files
		if len(methods) == 0 {
			return reply.Raise(http.StatusNotFound)
		}
		return &reply.Raised{Status: http.StatusMethodNotAllowed, Allow: joinMethods(methods)}
	}
	if done, err := s.Packs.Forward(c); done {
		return err
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		c.Response().Header().Del(echo.HeaderAllow) // the router's, of other methods
		return s.static(c, path)
	}
	return &reply.Raised{Status: http.StatusMethodNotAllowed, Allow: joinMethods(append(methods, http.MethodGet, http.MethodHead))}
}

func joinMethods(methods []string) string {
	slices.Sort(methods)
	return strings.Join(slices.Compact(methods), ",")
}

// static serves a file of a pack, of its example workflows, of the templates, of the documentation, or of the front end.
func (s *Service) static(c echo.Context, path string) error {
	if dir, rest, ok := s.Packs.Mounted(path); ok {
		return s.staticFile(c, dir, rest)
	}
	if name, ok := strings.CutPrefix(path, "/templates/"); ok {
		file, ok := s.Templates[name]
		if !ok {
			return reply.Raise(http.StatusNotFound)
		}
		return s.Disk.Send(c, file)
	}
	if name, ok := strings.CutPrefix(path, "/docs"); ok && s.DocsRoot != "" && (name == "" || name[0] == '/') {
		return s.staticFile(c, s.DocsRoot, strings.TrimPrefix(name, "/"))
	}
	if s.FrontEndRoot == "" {
		return s.ownFile(c, path)
	}
	return s.staticFile(c, s.FrontEndRoot, strings.TrimPrefix(path, "/"))
}

// staticFile serves the file of a name below a folder. Names that leave it, folders and links to the outside are
// refused as upstream refuses them.
func (s *Service) staticFile(c echo.Context, dir, name string) error {
	if strings.HasPrefix(name, "/") || strings.ContainsRune(name, 0) {
		return reply.Raise(http.StatusNotFound)
	}
	full := filepath.Join(dir, filepath.FromSlash(name))
	if !folders.Within(dir, full) || !disk.LexicallyWithin(dir, full) {
		return reply.Raise(http.StatusNotFound)
	}
	if info, err := os.Stat(full); err == nil && info.IsDir() {
		return reply.Raise(http.StatusForbidden)
	}
	return s.Disk.In(dir).Send(c, full)
}
