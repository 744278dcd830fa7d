package server

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"strings"

	"github.com/labstack/echo/v4"

	"comfygo/folders"
	"comfygo/internal/pyjson"
	"comfygo/middleware"
	"comfygo/server/disk"
	"comfygo/server/reply"
	"comfygo/server/v2"
)

const troubleText = "500 Internal Server Error\n\nServer got itself in trouble"

// filesText describes an error of the store with no more details than clients may know.
const filesText = "files can be neither read nor kept at the moment; the server's log says why; try again later"

// handleError is the one place in which errors become answers.
func (s *Server) handleError(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	if v2.Covers(c.Request().URL.Path) {
		s.v2Error(c, err)
		return
	}
	if s.jobs.AnswerQueueTrouble(c, err) {
		return
	}
	middleware.MarkBare(c)
	h := c.Response().Header()
	clear(h)

	if full := diskFull(err); full != nil {
		s.log.Error("handling a request: the disk is full", "method", c.Request().Method, "path", c.Request().URL.Path, "error", err)
		err = full
	}
	var r *reply.Raised
	var u *reply.Unusable
	var no *reply.Refusal
	switch {
	case errors.As(err, &no):
		if err := middleware.Refuse(c, no.Status, no.Typ, no.Message, no.Details, no.More...); err != nil {
			s.log.Debug("answering a request", "error", err)
		}
	case errors.As(err, &r):
		if r.Allow != "" {
			h.Set("Allow", r.Allow)
		}
		s.text(c, r.Status, r.Error())
	case errors.As(err, &u):
		s.log.Warn("refusing a request", "method", c.Request().Method, "path", c.Request().URL.Path, "error", err)
		s.clearError(c, u)
	case errors.Is(err, folders.ErrRemote):
		s.log.Error("handling a request", "method", c.Request().Method, "path", c.Request().URL.Path, "error", err)
		h.Set(echo.HeaderRetryAfter, "5")
		if err := middleware.Refuse(c, http.StatusServiceUnavailable, "file_store_unavailable", "The file store does not work", filesText); err != nil {
			s.log.Debug("answering a request", "error", err)
		}
	case diskTrouble(err):
		s.log.Error("handling a request", "method", c.Request().Method, "path", c.Request().URL.Path, "error", err)
		s.clearError(c, err)
	default:
		attrs := []any{"method", c.Request().Method, "path", c.Request().URL.Path, "error", err}
		var p *middleware.PanicError
		if errors.As(err, &p) {
			attrs = append(attrs, "stack", string(p.Stack))
		}
		s.log.Error("handling a request", attrs...)
		s.text(c, http.StatusInternalServerError, troubleText)
	}
}

// diskTrouble reports whether the disk is the cause: it is full, not writable, or a folder is no longer one.
func diskTrouble(err error) bool {
	var path *fs.PathError
	var link *os.LinkError
	return errors.As(err, &path) || errors.As(err, &link)
}

// diskFull returns the answer to an error of a full disk or an exhausted quota, or nil for others.
func diskFull(err error) error {
	if !disk.Full(err) {
		return nil
	}
	return reply.Refuse(http.StatusInsufficientStorage, "disk_full", "The disk is full", "the server's disk has no room left; nothing was changed")
}

// withoutPaths is the text of an error for clients: without paths on the server's disk.
func withoutPaths(err error) string {
	text := err.Error()
	var strip func(error)
	strip = func(err error) {
		switch e := err.(type) { //nolint:errorlint // the tree is walked by hand, to find all of them
		case *fs.PathError:
			text = strings.ReplaceAll(text, e.Error(), e.Op+": "+e.Err.Error())
		case *os.LinkError:
			text = strings.ReplaceAll(text, e.Error(), e.Op+": "+e.Err.Error())
		}
		switch e := err.(type) { //nolint:errorlint // the same
		case interface{ Unwrap() error }:
			if inner := e.Unwrap(); inner != nil {
				strip(inner)
			}
		case interface{ Unwrap() []error }:
			for _, inner := range e.Unwrap() {
				strip(inner)
			}
		}
	}
	strip(err)
	return text
}

// clearError answers a request that cannot be used, in the shape of POST /prompt's errors.
func (s *Server) clearError(c echo.Context, err error) {
	middleware.MarkOpen(c)
	body := pyjson.NewObject("error", pyjson.NewObject("type", "bad_request", "message", "The request cannot be used",
		"details", withoutPaths(err), "extra_info", pyjson.NewObject()), "node_errors", pyjson.NewObject())
	if err := s.reply.JSON(c, http.StatusBadRequest, body); err != nil {
		s.log.Debug("answering a request", "error", err)
	}
}

// text answers with a text, whatever the headers of other answers.
func (s *Server) text(c echo.Context, status int, text string) {
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, "text/plain; charset=utf-8")
	h.Set(echo.HeaderContentLength, fmt.Sprint(len(text)))
	c.Response().WriteHeader(status)
	if c.Request().Method == http.MethodHead {
		return
	}
	if _, err := c.Response().Write([]byte(text)); err != nil {
		s.log.Debug("answering a request", "error", err)
	}
}
