package server

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"

	"github.com/labstack/echo/v4"

	"comfygo/internal/pyjson"
	"comfygo/middleware"
	"comfygo/server/v2"
)

// raised is an error that leaves a handler: it is answered with a short text and without the extra headers.
type raised struct {
	status int
	text   string // "" stands for "404: Not Found" and the like
	allow  string
}

// Error says what the client is told.
func (e *raised) Error() string {
	if e.text != "" {
		return e.text
	}
	return fmt.Sprintf("%d: %s", e.status, http.StatusText(e.status))
}

func raise(status int) error { return &raised{status: status} }

// unusable is a request that upstream's handler breaks down on with 500. Here it is the client's mistake and told so.
type unusable struct{ err error }

// Error says what is wrong with the request.
func (e *unusable) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *unusable) Unwrap() error { return e.err }

// trouble marks an error as the client's doing where upstream answers 500.
func trouble(format string, args ...any) error { return &unusable{fmt.Errorf(format, args...)} }

const troubleText = "500 Internal Server Error\n\nServer got itself in trouble"

// handleError is the one place in which errors become answers.
func (s *Server) handleError(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	if v2.Covers(c.Request().URL.Path) {
		s.v2Error(c, err)
		return
	}
	if s.answerQueueTrouble(c, err) {
		return
	}
	middleware.MarkBare(c)
	h := c.Response().Header()
	clear(h)

	var r *raised
	var u *unusable
	var no *refusal
	switch {
	case errors.As(err, &no):
		if err := middleware.Refuse(c, no.status, no.typ, no.message, no.details, no.more...); err != nil {
			s.log.Debug("answering a request", "error", err)
		}
	case errors.As(err, &r):
		if r.allow != "" {
			h.Set("Allow", r.allow)
		}
		s.text(c, r.status, r.Error())
	case errors.As(err, &u):
		s.log.Warn("refusing a request", "method", c.Request().Method, "path", c.Request().URL.Path, "error", err)
		s.clearError(c, u)
	case diskTrouble(err):
		s.log.Error("handling a request", "method", c.Request().Method, "path", c.Request().URL.Path, "error", err)
		s.clearError(c, &unusable{err})
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

// diskTrouble reports whether the disk is to blame: it is full, may not be written, or a folder is none any more.
func diskTrouble(err error) bool {
	var path *fs.PathError
	var link *os.LinkError
	return errors.As(err, &path) || errors.As(err, &link)
}

// clearError answers a request that cannot be used, in the shape of POST /prompt's errors.
func (s *Server) clearError(c echo.Context, u *unusable) {
	middleware.MarkOpen(c)
	body := pyjson.NewObject("error", pyjson.NewObject("type", "bad_request", "message", "The request cannot be used",
		"details", u.Error(), "extra_info", pyjson.NewObject()), "node_errors", pyjson.NewObject())
	if err := s.json(c, http.StatusBadRequest, body); err != nil {
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
