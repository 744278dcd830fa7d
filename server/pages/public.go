package pages

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/labstack/echo/v4"

	"comfygo/folders"
	"comfygo/server/disk"
	"comfygo/web"
)

// Public reports whether a request is for a file of the frontend: our own pages, or a file below the frontend's root.
// Files of packs and of users are none, though they look alike from outside.
func (s *Service) Public(c echo.Context) bool {
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
func (s *Service) frontendFile(path string) bool {
	if strings.HasPrefix(path, "/internal/") || strings.HasPrefix(path, "/templates/") {
		return false
	}
	if _, _, ok := s.Packs.Mounted(path); ok {
		return false
	}
	if s.FrontEndRoot == "" {
		return path == "/index.html"
	}
	name := strings.TrimPrefix(path, "/")
	if name == "" || strings.HasPrefix(name, "/") || strings.ContainsRune(name, 0) {
		return false
	}
	full := filepath.Join(s.FrontEndRoot, filepath.FromSlash(name))
	if !disk.LexicallyWithin(s.FrontEndRoot, full) || !folders.Within(s.FrontEndRoot, full) {
		return false
	}
	info, err := os.Stat(full)
	return err == nil && info.Mode().IsRegular()
}
