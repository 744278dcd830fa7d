package pages

import (
	"net/http"
	"path/filepath"
	"strings"

	"github.com/labstack/echo/v4"

	"comfygo/middleware"
	"comfygo/server/reply"
)

// GetRoot serves the front end's page, or our own when there is no front end. It is never kept by browsers.
func (s *Service) GetRoot(c echo.Context) error {
	h := c.Response().Header()
	h.Set("Cache-Control", "no-store, must-revalidate")
	h.Set("Pragma", "no-cache")
	h.Set("Expires", "0")
	if s.FrontEndRoot == "" {
		return s.GetApp(c)
	}
	return s.Disk.Send(c, filepath.Join(s.FrontEndRoot, "index.html"))
}

// ownFile answers for the static files when there is no front end: there is our page, and nothing else is found.
func (s *Service) ownFile(c echo.Context, path string) error {
	if path == "/index.html" {
		return s.GetApp(c)
	}
	if strings.HasPrefix(path, "//") || strings.Contains("/"+path+"/", "/../") {
		return reply.Raise(http.StatusNotFound)
	}
	middleware.MarkFile(c)
	c.Response().Header().Set(echo.HeaderContentType, reply.OctetStream)
	c.Response().WriteHeader(http.StatusNotFound)
	return nil
}
