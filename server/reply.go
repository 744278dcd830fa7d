package server

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"comfygo/internal/pyjson"
)

const (
	// replyPatience is how long a client may take for an answer, and slowestRate the bytes a second on top of it.
	replyPatience = time.Minute
	slowestRate   = 16 << 10
)

// paced lets an answer fail whose client does not read, instead of holding it for ever.
func paced(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Response()
		r.Before(func() {
			size, _ := strconv.ParseInt(r.Header().Get(echo.HeaderContentLength), 10, 64) // 0 when there is none
			deadline := time.Now().Add(replyPatience + time.Duration(size/slowestRate)*time.Second)
			_ = http.NewResponseController(r.Writer).SetWriteDeadline(deadline) // not every writer of a test has deadlines
		})
		return next(c)
	}
}

const jsonType = "application/json; charset=utf-8"

// json answers with a value as Python's json module writes it.
func (s *Server) json(c echo.Context, status int, v any) error {
	body, err := pyjson.Marshal(v)
	if err != nil {
		return fmt.Errorf("answering: %w", err)
	}
	return s.body(c, status, jsonType, body)
}

// empty answers with a status alone: no content type, content length 0.
func (s *Server) empty(c echo.Context, status int) error {
	if status != http.StatusNoContent {
		c.Response().Header().Set(echo.HeaderContentLength, "0")
	}
	c.Response().WriteHeader(status)
	return nil
}

// plain answers with a text as handlers do, not as raised errors do.
func (s *Server) plain(c echo.Context, status int, text string) error {
	return s.body(c, status, "text/plain; charset=utf-8", []byte(text))
}

// body answers with bytes, packed when the server is told to and the client understands it.
func (s *Server) body(c echo.Context, status int, contentType string, data []byte) error {
	if how := s.packing(c, contentType, len(data)); how != "" {
		small, err := packed(how, data)
		if err != nil {
			return fmt.Errorf("packing an answer: %w", err)
		}
		c.Response().Header().Set(echo.HeaderContentEncoding, how)
		data = small
	}
	return s.bytes(c, status, contentType, data)
}

// bytes answers with bytes as they are.
func (s *Server) bytes(c echo.Context, status int, contentType string, data []byte) error {
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, contentType)
	h.Set(echo.HeaderContentLength, strconv.Itoa(len(data)))
	c.Response().WriteHeader(status)
	if c.Request().Method == http.MethodHead {
		return nil
	}
	_, err := c.Response().Write(data)
	return err
}

// packing chooses how to pack an answer: upstream looks for the word gzip in the header and then prefers deflate.
func (s *Server) packing(c echo.Context, contentType string, size int) string {
	if !s.cfg.Compress || size == 0 {
		return ""
	}
	if t := bareType(contentType); t != "application/json" && t != "text/plain" {
		return ""
	}
	accepted := c.Request().Header.Get(echo.HeaderAcceptEncoding)
	switch {
	case !strings.Contains(accepted, "gzip"):
		return ""
	case strings.Contains(accepted, "deflate"):
		return "deflate"
	}
	return "gzip"
}

func packed(how string, data []byte) ([]byte, error) {
	var b bytes.Buffer
	var w io.WriteCloser = gzip.NewWriter(&b)
	if how == "deflate" {
		w = zlib.NewWriter(&b)
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
