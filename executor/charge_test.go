package executor_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"comfygo/executor"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// bulk makes a text or a list of about this many bytes, without allocating memory.
type bulk struct {
	Bytes int    `in:"bytes"`
	Kind  string `in:"kind"`
}

func (*bulk) Spec() nodes.Spec { return named("Bulk", "STRING") }
func (n *bulk) Run(*nodes.Context) (nodes.Result, error) {
	if n.Kind == "json" {
		o := pyjson.NewObject()
		for i := range n.Bytes / 64 {
			o.Set(fmt.Sprint(i), int64(i))
		}
		return nodes.Out(o), nil
	}
	return nodes.Out(strings.Repeat("x", n.Bytes)), nil
}

// fewReserves grants the first reservations.
type fewReserves struct {
	mu    sync.Mutex
	left  int
	asked []string
}

func (m *fewReserves) Reserve(_ context.Context, what string, _ int64) (func(), error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = append(m.asked, what)
	if m.left--; m.left < 0 {
		return nil, nodes.Errorf("MemoryError", "allocating %s: nothing is free", what)
	}
	return func() {}, nil
}

// TestResultsAreCharged ends a job whose texts or JSON values have used up the memory, though their node reserved nothing.
func TestResultsAreCharged(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"text", "json"} {
		m := &fewReserves{left: 2}
		ex := executor.New(executor.Config{Registry: registry(t, &bulk{}), Services: nodes.Services{Memory: m}, Cache: executor.CacheConfig{Kind: executor.CacheNone}})
		var prompt []string
		for i := range 4 {
			prompt = append(prompt, fmt.Sprintf(`"%d": {"class_type": "Bulk", "inputs": {"bytes": %d, "kind": %q}}, "s%d": {"class_type": "ConfSink", "inputs": {"value": ["%d", 0]}}`,
				i, 1<<20+64*i, kind, i, i))
		}
		prompt = append(prompt, fmt.Sprintf(`"small": {"class_type": "Bulk", "inputs": {"bytes": 1000, "kind": %q}}, "s": {"class_type": "ConfSink", "inputs": {"value": ["small", 0]}}`, kind))
		r, events, _ := runPrompt(t.Context(), t, ex, t.Name()+kind, "{"+strings.Join(prompt, ",")+"}")
		e := find(events, "execution_error")
		if r.Success || e == nil || e.String("exception_type") != "MemoryError" || !strings.Contains(e.String("exception_message"), "texts and lists of") {
			t.Errorf("%s: success %v, error %s", kind, r.Success, show(e))
		}
	}
}
