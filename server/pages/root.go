package pages

import (
	"net/http"
	"path/filepath"
	"strings"

	"github.com/labstack/echo/v4"

	"comfygo/middleware"
	"comfygo/server/reply"
)

// GetRoot serves the front end's page, or our own without a front end. Browsers do not cache it.
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

// ownFile answers for the static files without a front end: with our page, and 404 for everything else.
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
