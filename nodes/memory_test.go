package nodes_test

import (
	"errors"
	"strings"
	"testing"

	"comfygo/internal/memory"
	"comfygo/nodes"
)

// TestReserveBesideOwn: a call that has reserved most of the memory does not wait for itself: it fails, or gives up what an earlier stage reserved.
func TestReserveBesideOwn(t *testing.T) {
	t.Parallel()
	const gb = 1 << 30
	budget := &memory.Budget{Free: func() uint64 { return gb + memory.Margin }}
	ctx := nodes.TestContext(t.Context(), nodes.Services{Memory: budget})
	if err := ctx.Reserve("the first stage", gb*3/4); err != nil {
		t.Fatal(err)
	}
	var size *memory.SizeError
	if err := ctx.Reserve("the second stage", gb/2); !errors.As(err, &size) || !strings.Contains(err.Error(), "the second stage") {
		t.Fatalf("%v, want a size error", err)
	}
	if err := ctx.ReserveNext("the second stage", gb/2); err != nil {
		t.Fatal(err)
	}
	ctx.Release()
	if have := budget.Available(); have != gb {
		t.Errorf("%d bytes are free at the end, want all", have)
	}
}
