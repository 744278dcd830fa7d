// Package packs serves what packs of custom nodes hold for browsers: scripts, example workflows, translations, subgraphs.
// Their Python is read for the name of a folder; routes that it has added where it runs are passed on.
package packs

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/labstack/echo/v4"

	"comfygo/folders"
	"comfygo/internal/pyhost"
	"comfygo/internal/pyjson"
	"comfygo/queue"
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
	// Python, if set, is where the packs' Python runs.
	Python Python
	// Fleet: this is one of several servers and workers, which cannot load packs again together.
	Fleet bool
	// Queue is told that packs are to be loaded again, which happens between two jobs.
	Queue interface{ SetFlags(f queue.Flags) }
	// MayRun reports whether who makes the request may run any prompt, which the routes of packs ask for: they run the packs' code.
	MayRun func(c echo.Context) error
	Log    *slog.Logger
}

// Routes are routes of packs that run in another process.
type Routes interface {
	// Takes reports whether one of the routes takes a request.
	Takes(r *http.Request) bool
	http.Handler
}

// Python is where the Python of packs runs.
type Python interface {
	Routes
	// Prompt lets the prompt handlers of packs change the body of a POST /prompt, within a bound in time.
	Prompt(ctx context.Context, request *pyjson.Object) *pyjson.Object
	// Stats are the figures of the processes. It does not wait.
	Stats() []pyhost.Stats
	// Packs are the packs that run: name, path, seconds, error, classes.
	Packs() []any
	// Core are the names of the classes of the checkout that run in Python.
	Core() []string
	// Ask notes that a pack is to be loaded again, all for "". The error says that there is no such pack.
	Ask(pack string) error
	// Reload loads again what was asked for. No job runs meanwhile.
	Reload()
}

// Takes reports whether a request is for a route of a pack.
func (s *Service) Takes(c echo.Context) bool { return s.Python != nil && s.Python.Takes(c.Request()) }

// Forward answers a request for a route of a pack; done is false for other requests.
func (s *Service) Forward(c echo.Context) (done bool, err error) {
	if !s.Takes(c) {
		return false, nil
	}
	if err := s.MayRun(c); err != nil {
		return true, err
	}
	s.Python.ServeHTTP(c.Response(), c.Request())
	return true, nil
}
