package packs

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"comfygo/queue"
	"comfygo/server/reply"
)

// asked is a Python side and a queue that note what they are asked for.
type asked struct {
	Python
	packs int
	flags queue.Flags
}

func (a *asked) Ask(string) error       { a.packs++; return nil }
func (a *asked) SetFlags(f queue.Flags) { a.flags = f }

// TestReload asks for packs to be loaded again; a body is not needed, and a fleet does not promise it.
func TestReload(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		body  string
		fleet bool
		want  int
	}{
		{"{}", false, http.StatusAccepted},
		{"", false, http.StatusAccepted},
		{`{"pack": null}`, false, http.StatusAccepted},
		{"{}", true, http.StatusConflict},
		{"", true, http.StatusConflict},
		{`{"pack": 1}`, false, http.StatusBadRequest},
	} {
		side := &asked{}
		s := &Service{Reply: &reply.Service{BodyLimit: func(echo.Context) int64 { return 100 }}, Fleet: c.fleet, Python: side, Queue: side}
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/packs/reload", strings.NewReader(c.body))
		rec := httptest.NewRecorder()
		if err := s.PostReload(echo.New().NewContext(req, rec)); err != nil {
			t.Fatal(err)
		}
		if asked := side.packs == 1 && side.flags.ReloadPacks; rec.Code != c.want || asked != (c.want == http.StatusAccepted) {
			t.Errorf("%q, fleet %v: %d %s, asked %d, flags %+v", c.body, c.fleet, rec.Code, rec.Body, side.packs, side.flags)
		}
	}
}
