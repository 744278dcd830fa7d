// Package packs serves what packs of custom nodes hold for browsers: scripts, example workflows, translations, subgraphs.
// Their Python is read for the name of a folder; routes that it has added where it runs are passed on.
package packs

import (
	"log/slog"
	"net/http"

	"github.com/labstack/echo/v4"

	"comfygo/folders"
	"comfygo/server/reply"
)

// Service handles the routes that look into the folders of custom nodes.
type Service struct {
	Reply   *reply.Service
	Folders *folders.Folders
	// FrontEndRoot is the folder of the front end, whose extensions are listed first; "" for none.
	FrontEndRoot string
	// DisableCustomNodes leaves all packs alone but those named in WhitelistCustomNodes.
	DisableCustomNodes   bool
	WhitelistCustomNodes []string
	// Routes, if set, are those that packs have added in Python.
	Routes Routes
	// MayRun reports whether who makes the request may run prompts, which the routes of packs ask for: they run the packs' code.
	MayRun func(c echo.Context) error
	Log    *slog.Logger
}

// Routes are routes of packs that run in another process.
type Routes interface {
	// Takes reports whether one of the routes takes a request.
	Takes(r *http.Request) bool
	http.Handler
}

// Forward answers a request for a route of a pack; done is false for other requests.
func (s *Service) Forward(c echo.Context) (done bool, err error) {
	if s.Routes == nil || !s.Routes.Takes(c.Request()) {
		return false, nil
	}
	if err := s.MayRun(c); err != nil {
		return true, err
	}
	s.Routes.ServeHTTP(c.Response(), c.Request())
	return true, nil
}
