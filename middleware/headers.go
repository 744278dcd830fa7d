// Package middleware holds the steps before and after every handler, one file each: authentication,
// origin checks, and the headers of an answer.
//
// It follows the behaviour of ComfyUI's server: answers that a handler returns carry the extra headers, errors that are
// raised past the handlers do not. The package must not know any resource, nor queues, nodes or files.
package middleware

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// Keys of the handlers' marks for the middlewares.
const (
	keyBare = "comfygo.bare"
	keyFile = "comfygo.file"
	keyOpen = "comfygo.open"
)

// MarkBare marks the answer as a raised error: no middleware adds headers to it.
func MarkBare(c echo.Context) { c.Set(keyBare, true) }

// MarkOpen marks a raised error without an equal in upstream. Pages that CORS allows may read it, so that they can show it.
func MarkOpen(c echo.Context) { c.Set(keyOpen, true) }

// MarkFile marks the answer as a file. Its caching headers are set as if it were found, as upstream sets them before the
// file is opened.
func MarkFile(c echo.Context) { c.Set(keyFile, true) }

func marked(c echo.Context, key string) bool {
	v, _ := c.Get(key).(bool)
	return v
}

// beforeHeaders runs f just before the headers of an answer go out, unless it is a raised error.
func beforeHeaders(c echo.Context, f func(h http.Header, status int)) {
	r := c.Response()
	r.Before(func() {
		if !marked(c, keyBare) {
			f(r.Header(), r.Status)
		}
	})
}
