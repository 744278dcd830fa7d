package pages

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"comfygo/server/health"
	"comfygo/server/openapi"
	"comfygo/server/reply"
)

// description is the OpenAPI description of the server; it is made at the first request.
type description struct {
	once           sync.Once
	document, page []byte
	err            error
}

func (s *Service) describe() (document, page []byte, err error) {
	d := &s.told
	d.once.Do(func() {
		info := openapi.Info{Version: s.AppVersion, Guarded: s.Access.Guarded()}
		if info.Version == "" {
			info.Version = health.UpstreamVersion
		}
		if d.document, d.err = openapi.Document(info, s.served()); d.err == nil {
			d.page, d.err = openapi.Page(info, s.served())
		}
	})
	return d.document, d.page, d.err
}

// served are all routes that the server has.
func (s *Service) served() []openapi.Served {
	var list []openapi.Served
	for _, r := range s.Echo.Routes() {
		list = append(list, openapi.Served{Method: r.Method, Path: r.Path})
	}
	return list
}

// GetOpenAPI serves the description as an OpenAPI 3.1 document.
func (s *Service) GetOpenAPI(c echo.Context) error {
	document, _, err := s.describe()
	if err != nil {
		return err
	}
	return s.described(c, reply.JSONType, document)
}

// GetAPIPage serves the description for people.
func (s *Service) GetAPIPage(c echo.Context) error {
	_, page, err := s.describe()
	if err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set("Content-Security-Policy", openapi.PagePolicy)
	h.Set("Referrer-Policy", "same-origin")
	return s.described(c, "text/html; charset=utf-8", page)
}

// described answers with a text that stays as it is while the program runs.
func (s *Service) described(c echo.Context, contentType string, text []byte) error {
	h := c.Response().Header()
	sum := sha256.Sum256(text)
	h.Set("Etag", `"`+hex.EncodeToString(sum[:12])+`"`)
	h.Set(echo.HeaderContentType, contentType)
	h.Set(echo.HeaderXContentTypeOptions, "nosniff")
	h.Set(echo.HeaderCacheControl, "no-cache")
	http.ServeContent(c.Response(), c.Request(), "", time.Time{}, bytes.NewReader(text))
	return nil
}
