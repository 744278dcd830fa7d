package executor_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"comfygo/executor"
)

// TestWatch sees the end of every call of a node; a cached result is not a call.
func TestWatch(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var seen []string
	ex := executor.New(executor.Config{
		Registry: registry(t, &counted{}),
		Watch: func(ctx context.Context, w executor.Work) (context.Context, func(error)) {
			return ctx, func(err error) {
				mu.Lock()
				defer mu.Unlock()
				seen = append(seen, fmt.Sprintf("%s %s %v", w.NodeID, w.Class, err))
			}
		},
	})
	first, _, _ := runPrompt(t.Context(), t, ex, "watch-1", fmt.Sprintf(diamond, 1, 1))
	want := []string{"1 Counted <nil>", "2 Counted <nil>", "3 Counted <nil>", "4 Counted <nil>", "5 ConfSink <nil>"}
	slices.Sort(seen)
	if !slices.Equal(seen, want) {
		t.Errorf("seen %q, want %q", seen, want)
	}
	if first.Ran != 5 || first.Cached != 0 {
		t.Errorf("the first run: %d ran, %d cached", first.Ran, first.Cached)
	}
	seen = nil
	second, _, _ := runPrompt(t.Context(), t, ex, "watch-2", fmt.Sprintf(diamond, 1, 2))
	if len(seen) != second.Ran || second.Ran+second.Cached != 5 || second.Cached == 0 {
		t.Errorf("the second run: %d ran, %d cached, seen %q", second.Ran, second.Cached, seen)
	}
}
