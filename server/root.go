package server

import (
	"net/http"
	"path/filepath"
	"strings"

	"github.com/labstack/echo/v4"

	"comfygo/middleware"
)

// getRoot serves the front end's page, or our own when there is no front end. It is never kept by browsers.
func (s *Server) getRoot(c echo.Context) error {
	h := c.Response().Header()
	h.Set("Cache-Control", "no-store, must-revalidate")
	h.Set("Pragma", "no-cache")
	h.Set("Expires", "0")
	if s.cfg.FrontEndRoot == "" {
		return s.getApp(c)
	}
	return s.file(c, filepath.Join(s.cfg.FrontEndRoot, "index.html"))
}

// ownFile answers for the static files when there is no front end: there is our page, and nothing else is found.
func (s *Server) ownFile(c echo.Context, path string) error {
	if path == "/index.html" {
		return s.getApp(c)
	}
	if strings.HasPrefix(path, "//") || strings.Contains("/"+path+"/", "/../") {
		return raise(http.StatusNotFound)
	}
	middleware.MarkFile(c)
	c.Response().Header().Set(echo.HeaderContentType, octetStream)
	c.Response().WriteHeader(http.StatusNotFound)
	return nil
}
