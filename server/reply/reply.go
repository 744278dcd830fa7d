package reply

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
	// replyPatience is the time that a client may take for an answer, and slowestRate the bytes a second on top of
	// it.
	replyPatience = time.Minute
	slowestRate   = 16 << 10
)

// Paced fails an answer to a client that does not read, instead of waiting without a limit.
func Paced(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Response()
		r.Before(func() {
			size, _ := strconv.ParseInt(r.Header().Get(echo.HeaderContentLength), 10, 64) // 0 when it is missing
			deadline := time.Now().Add(replyPatience + time.Duration(size/slowestRate)*time.Second)
			_ = http.NewResponseController(r.Writer).SetWriteDeadline(deadline) // not every writer of a test has deadlines
		})
		return next(c)
	}
}

// JSONType is the media type of JSON answers.
const JSONType = "application/json; charset=utf-8"

// JSON answers with a value as Python's json module writes it.
func (s *Service) JSON(c echo.Context, status int, v any) error {
	body, err := pyjson.Marshal(v)
	if err != nil {
		return fmt.Errorf("answering: %w", err)
	}
	return s.Body(c, status, JSONType, body)
}

// Empty answers with a status alone: no content type, content length 0.
func (s *Service) Empty(c echo.Context, status int) error {
	if status != http.StatusNoContent {
		c.Response().Header().Set(echo.HeaderContentLength, "0")
	}
	c.Response().WriteHeader(status)
	return nil
}

// Plain answers with a text as handlers do, not as raised errors do.
func (s *Service) Plain(c echo.Context, status int, text string) error {
	return s.Body(c, status, "text/plain; charset=utf-8", []byte(text))
}

// Body answers with bytes, compressed when the server is configured to and the client accepts it.
func (s *Service) Body(c echo.Context, status int, contentType string, data []byte) error {
	if how := s.Packing(c, contentType, len(data)); how != "" {
		small, err := Packed(how, data)
		if err != nil {
			return fmt.Errorf("packing an answer: %w", err)
		}
		c.Response().Header().Set(echo.HeaderContentEncoding, how)
		data = small
	}
	return s.Bytes(c, status, contentType, data)
}

// Bytes answers with bytes as they are.
func (s *Service) Bytes(c echo.Context, status int, contentType string, data []byte) error {
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

// Packing chooses how to pack an answer: upstream looks for the word gzip in the header and then prefers deflate.
func (s *Service) Packing(c echo.Context, contentType string, size int) string {
	if !s.Compress || size == 0 {
		return ""
	}
	if t := BareType(contentType); t != "application/json" && t != "text/plain" {
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

// Packed compresses bytes by "gzip" or "deflate".
func Packed(how string, data []byte) ([]byte, error) {
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
