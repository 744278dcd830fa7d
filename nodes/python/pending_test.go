package python

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"comfygo/internal/pyhost"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// TestPending: a group says why its classes may be missing, and nothing without processes.
func TestPending(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	g := NewGroup(nodes.NewRegistry(), log)
	if got := g.Pending(); got != "" {
		t.Errorf("without packs: %q", got)
	}
	b := New(nil, log)
	host := pyhost.New(pyhost.Config{
		Python: "comfygo-has-no-such-python", Log: log, Started: b.Started,
		Hello: func([]string, string) *pyjson.Object { return pyjson.NewObject() },
	})
	b.Use(host)
	g.Set([]*Bridge{b})
	if got := g.Pending(); !strings.Contains(got, "still being imported") {
		t.Errorf("before the start: %q", got)
	}
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := host.Close(); err != nil {
			t.Error(err)
		}
	}()
	for end := time.Now().Add(time.Minute); !strings.Contains(g.Pending(), "comfygo-has-no-such-python"); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("without an interpreter: %q", g.Pending())
		}
	}
}
