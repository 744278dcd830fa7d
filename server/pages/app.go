package pages

import (
	"bytes"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"comfygo/internal/pyjson"
	"comfygo/server/reply"
	"comfygo/web"
)

// GetApp serves our own page.
func (s *Service) GetApp(c echo.Context) error { return s.ownPage(c, "app.html") }

// GetManage serves our page for keys, users and roles; the page itself prompts for a key.
func (s *Service) GetManage(c echo.Context) error { return s.ownPage(c, "manage.html") }

// GetAppFile serves a file of our own pages, or start.json; 404 if there is no such file.
func (s *Service) GetAppFile(c echo.Context) error {
	switch name := strings.TrimPrefix(c.Request().URL.Path, "/app/"); name {
	case "":
		// The page's addresses are relative to the root, so that it works below a proxy's prefix.
		return c.Redirect(http.StatusPermanentRedirect, "../app")
	case "start.json":
		return s.getAppStart(c)
	default:
		return s.ownPage(c, name)
	}
}

// getAppStart returns the data for a first visit to our page: demo is a workflow in API form, or null, and frontend
// reports whether another one is served at the root.
func (s *Service) getAppStart(c echo.Context) error {
	var demo any
	if len(s.DemoWorkflow) > 0 {
		demo = pyjson.Raw(s.DemoWorkflow)
	}
	c.Response().Header().Set(echo.HeaderCacheControl, "no-cache")
	return s.Reply.JSON(c, http.StatusOK, pyjson.NewObject("demo", demo, "frontend", s.FrontEndRoot != ""))
}

// ownPage sends a file of package web. Browsers cache it and revalidate.
func (s *Service) ownPage(c echo.Context, name string) error {
	file, ok := web.Open(name)
	if !ok {
		return reply.Raise(http.StatusNotFound)
	}
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, file.Type)
	h.Set("Content-Security-Policy", web.Policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	if h.Get(echo.HeaderCacheControl) == "" {
		h.Set(echo.HeaderCacheControl, "no-cache")
	}
	body := file.Body
	h.Set("Etag", file.ETag)
	if file.Packed != nil {
		h.Set(echo.HeaderVary, echo.HeaderAcceptEncoding)
		if strings.Contains(c.Request().Header.Get(echo.HeaderAcceptEncoding), "gzip") {
			body = file.Packed
			h.Set(echo.HeaderContentEncoding, "gzip")
			h.Set("Etag", file.PackedETag)
		}
	}
	http.ServeContent(c.Response(), c.Request(), "", time.Time{}, bytes.NewReader(body))
	return nil
}
