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

// TestReloadOfAFleet holds that packs are not promised to be loaded again where they are not.
func TestReloadOfAFleet(t *testing.T) {
	t.Parallel()
	for fleet, want := range map[bool]int{false: http.StatusAccepted, true: http.StatusConflict} {
		side := &asked{}
		s := &Service{Reply: &reply.Service{BodyLimit: func(echo.Context) int64 { return 100 }}, Fleet: fleet, Python: side, Queue: side}
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/packs/reload", strings.NewReader("{}"))
		rec := httptest.NewRecorder()
		if err := s.PostReload(echo.New().NewContext(req, rec)); err != nil {
			t.Fatal(err)
		}
		if rec.Code != want || (side.packs == 1 && side.flags.ReloadPacks) == fleet {
			t.Errorf("fleet %v: %d %s, asked %d, flags %+v", fleet, rec.Code, rec.Body, side.packs, side.flags)
		}
	}
}
