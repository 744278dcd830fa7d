package server

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"comfygo/internal/pyjson"
)

// bodyPatience is how long a client may take for the next piece of a body.
const bodyPatience = 60 * time.Second

// patient reads a body and gives the client time for each piece, not for the whole.
type patient struct {
	io.ReadCloser
	control *http.ResponseController
}

// Read reads the next piece.
func (p *patient) Read(b []byte) (int, error) {
	_ = p.control.SetReadDeadline(time.Now().Add(bodyPatience)) // not every writer of a test has deadlines
	n, err := p.ReadCloser.Read(b)
	if err != nil { // the whole body is there: from now on a silent client is a patient one
		_ = p.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// limited returns the body with the limit on its size and on the client's slowness. A body that says it is too large
// is refused before it is read.
func (s *Server) limited(c echo.Context) (io.ReadCloser, error) {
	r := c.Request()
	limit := s.bodyLimit(c)
	if r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	w := c.Response().Writer
	return http.MaxBytesReader(w, &patient{r.Body, http.NewResponseController(w)}, limit), nil
}

// bodyLimit is how many bytes a request may have: fewer for an upload of somebody whose role says so.
func (s *Server) bodyLimit(c echo.Context) int64 {
	if !s.owned() || strings.HasPrefix(c.Request().Header.Get(echo.HeaderContentType), "application/json") {
		return s.maxBody
	}
	if most := s.gate.Limits(s.who(c)).UploadBytes; most > 0 {
		return min(most, s.maxBody)
	}
	return s.maxBody
}

func tooLarge(limit int64) error {
	return &raised{status: http.StatusRequestEntityTooLarge, text: fmt.Sprintf("Maximum request body size %d exceeded.", limit)}
}

// bodyError tells a body that is too large from one that broke off.
func (s *Server) bodyError(err error) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return tooLarge(large.Limit)
	}
	return trouble("reading the request body: %w", err)
}

// readBody returns the whole body.
func (s *Server) readBody(c echo.Context) ([]byte, error) {
	body, err := s.limited(c)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(body)
	if err != nil {
		return nil, s.bodyError(err)
	}
	return data, nil
}

// readJSON returns the body's value.
func (s *Server) readJSON(c echo.Context) (any, error) {
	data, err := s.readBody(c)
	if err != nil {
		return nil, err
	}
	text, err := decodedText(data, c.Request().Header.Get(echo.HeaderContentType))
	if err != nil {
		return nil, trouble("reading the request body: %w", err)
	}
	v, err := pyjson.Unmarshal([]byte(text))
	if err != nil {
		return nil, trouble("reading the request body: %w", err)
	}
	return v, nil
}

// has is Python's "key in value" for a decoded value: keys of objects, elements of lists, parts of strings. It fails
// for everything else, where Python does.
func has(v any, key string) (bool, error) {
	switch v := v.(type) {
	case *pyjson.Object:
		return v.Has(key), nil
	case []any:
		for _, e := range v {
			if e == any(key) {
				return true, nil
			}
		}
		return false, nil
	case string:
		return strings.Contains(v, key), nil
	}
	return false, trouble("looking for %q: the body is a %s, not an object", key, pyjson.TypeName(v))
}

// field returns a value of a body of which has said that it is there.
func field(v any, key string) (any, error) {
	o, ok := v.(*pyjson.Object)
	if !ok {
		return nil, trouble("reading %q: the body is a %s, not an object", key, pyjson.TypeName(v))
	}
	value, _ := o.Get(key)
	return value, nil
}

// truthy is Python's bool of a decoded value.
func truthy(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != ""
	case int64:
		return v != 0
	case float64:
		return v != 0
	case []any:
		return len(v) > 0
	case *pyjson.Object:
		return v.Len() > 0
	}
	return true
}

// param returns a path parameter decoded.
func param(c echo.Context, name string) string {
	v := c.Param(name)
	if c.Request().URL.RawPath == "" {
		return v // the router saw the decoded path
	}
	return unquote(v)
}

// unquote decodes percent signs; text that is no clean encoding stays as it is.
func unquote(v string) string {
	if decoded, err := url.PathUnescape(v); err == nil {
		return decoded
	}
	return v
}

// query returns a query parameter and whether it is there at all. net/url would drop parameters with a semicolon in
// them, which previews have.
func query(c echo.Context, name string) (string, bool) {
	for pair := range strings.SplitSeq(c.Request().URL.RawQuery, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if unquoteQuery(key) == name {
			return unquoteQuery(value), pair != ""
		}
	}
	return "", false
}

// unquoteQuery decodes percent and plus signs; text that is no clean encoding stays as it is.
func unquoteQuery(v string) string {
	if decoded, err := url.QueryUnescape(v); err == nil {
		return decoded
	}
	return v
}
