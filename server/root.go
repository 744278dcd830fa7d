package server

import (
	_ "embed" // the page
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"comfygo/middleware"
)

//go:embed page/index.html
var ownPage []byte

// getRoot serves the front end's page, or our own when there is no front end. It is never kept by browsers.
func (s *Server) getRoot(c echo.Context) error {
	h := c.Response().Header()
	h.Set("Cache-Control", "no-store, must-revalidate")
	h.Set("Pragma", "no-cache")
	h.Set("Expires", "0")
	if s.cfg.FrontEndRoot == "" {
		return s.page(c)
	}
	return s.file(c, filepath.Join(s.cfg.FrontEndRoot, "index.html"))
}

func (s *Server) page(c echo.Context) error {
	h := c.Response().Header()
	h.Set("Etag", fmt.Sprintf(`"%x-%x"`, s.started.UnixNano(), len(ownPage)))
	h.Set(echo.HeaderLastModified, s.started.UTC().Format(http.TimeFormat))
	h.Set("Accept-Ranges", "bytes")
	h.Set(echo.HeaderContentType, "text/html")
	h.Set(echo.HeaderContentLength, strconv.Itoa(len(ownPage)))
	c.Response().WriteHeader(http.StatusOK)
	if c.Request().Method == http.MethodHead {
		return nil
	}
	_, err := c.Response().Write(ownPage)
	return err
}

// ownFile answers for the static files when there is no front end: there is one page, and nothing else is found.
func (s *Server) ownFile(c echo.Context, path string) error {
	if path == "/index.html" {
		return s.page(c)
	}
	if strings.HasPrefix(path, "//") || strings.Contains("/"+path+"/", "/../") {
		return raise(http.StatusNotFound)
	}
	middleware.MarkFile(c)
	c.Response().Header().Set(echo.HeaderContentType, octetStream)
	c.Response().WriteHeader(http.StatusNotFound)
	return nil
}
