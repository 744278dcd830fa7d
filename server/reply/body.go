package reply

import (
	"encoding/json"
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

// bodyPatience is the time that a client may take for the next piece of a body.
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

// Limited returns the body with the limit on its size and on the client's slowness. A body that announces too large
// a size is refused before it is read.
func (s *Service) Limited(c echo.Context) (io.ReadCloser, error) {
	r := c.Request()
	limit := s.BodyLimit(c)
	if r.ContentLength > limit {
		return nil, TooLarge(limit)
	}
	w := c.Response().Writer
	return http.MaxBytesReader(w, &patient{r.Body, http.NewResponseController(w)}, limit), nil
}

// TooLarge is the error for a body above the limit, in bytes.
func TooLarge(limit int64) error {
	return &Raised{Status: http.StatusRequestEntityTooLarge, Text: fmt.Sprintf("Maximum request body size %d exceeded.", limit)}
}

// BodyError distinguishes a body that is too large from one that was cut off.
func (s *Service) BodyError(err error) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return TooLarge(large.Limit)
	}
	return Trouble("reading the request body: %w", err)
}

// ReadBody returns the whole body.
func (s *Service) ReadBody(c echo.Context) ([]byte, error) {
	body, err := s.Limited(c)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(body)
	if err != nil {
		return nil, s.BodyError(err)
	}
	return data, nil
}

// ReadJSON returns the body's value.
func (s *Service) ReadJSON(c echo.Context) (any, error) {
	data, err := s.ReadBody(c)
	if err != nil {
		return nil, err
	}
	return decoded(c, data)
}

// ReadOptionalJSON is ReadJSON for a body that may be missing: nil then.
func (s *Service) ReadOptionalJSON(c echo.Context) (any, error) {
	data, err := s.ReadBody(c)
	if err != nil || len(data) == 0 {
		return nil, err
	}
	return decoded(c, data)
}

func decoded(c echo.Context, data []byte) (any, error) {
	text, err := DecodedText(data, c.Request().Header.Get(echo.HeaderContentType))
	if err != nil {
		return nil, Trouble("reading the request body: %w", err)
	}
	v, err := pyjson.Unmarshal([]byte(text))
	if err != nil {
		return nil, Trouble("reading the request body: %w", err)
	}
	return v, nil
}

// Has is Python's "key in value" for a decoded value: keys of objects, elements of lists, parts of strings. It fails
// for everything else, where Python does.
func Has(v any, key string) (bool, error) {
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
	return false, Trouble("looking for %q: the body is a %s, not an object", key, pyjson.TypeName(v))
}

// Field returns a value of a body that is known to contain it.
func Field(v any, key string) (any, error) {
	o, ok := v.(*pyjson.Object)
	if !ok {
		return nil, Trouble("reading %q: the body is a %s, not an object", key, pyjson.TypeName(v))
	}
	value, _ := o.Get(key)
	return value, nil
}

// Truthy is Python's bool of a decoded value.
func Truthy(v any) bool {
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

// Param returns a path parameter decoded.
func Param(c echo.Context, name string) string {
	v := c.Param(name)
	if c.Request().URL.RawPath == "" {
		return v // the router saw the decoded path
	}
	return Unquote(v)
}

// Unquote decodes percent signs; text with an invalid encoding is returned unchanged.
func Unquote(v string) string {
	if decoded, err := url.PathUnescape(v); err == nil {
		return decoded
	}
	return v
}

// Query returns a query parameter and whether it is there at all. net/url would drop parameters with a semicolon in
// them, which previews have.
func Query(c echo.Context, name string) (string, bool) {
	for pair := range strings.SplitSeq(c.Request().URL.RawQuery, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if UnquoteQuery(key) == name {
			return UnquoteQuery(value), pair != ""
		}
	}
	return "", false
}

// UnquoteQuery decodes percent and plus signs; text with an invalid encoding is returned unchanged.
func UnquoteQuery(v string) string {
	if decoded, err := url.QueryUnescape(v); err == nil {
		return decoded
	}
	return v
}

// Command reads the body of one of our own routes; complaint describes a fault of it, or is "".
func (s *Service) Command(c echo.Context, into any) (complaint string, err error) {
	data, err := s.ReadBody(c)
	if err != nil {
		return "", err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Sprintf("the body cannot be read: %v", err), nil
	}
	return "", nil
}

// Complain answers with {"error": text}.
func (s *Service) Complain(c echo.Context, status int, text string) error {
	return s.JSON(c, status, pyjson.NewObject("error", text))
}
