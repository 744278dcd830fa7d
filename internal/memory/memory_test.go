package memory_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"

	"comfygo/internal/memory"
)

const gb = 1 << 30

// budget makes the budget of a machine with the given free bytes, for a process that occupies the given
// bytes.
func budget(free, resident uint64) *memory.Budget {
	return &memory.Budget{Free: func() uint64 { return free }, Resident: func() uint64 { return resident }}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name                        string
		free, resident, limit, need uint64
		ok                          bool
	}{
		{"fits", 2 * gb, gb, 0, gb, true},
		{"more than the machine has", 2 * gb, 0, 0, 3 * gb, false},
		{"the margin is kept", gb, 0, 0, gb - memory.Margin + 1, false},
		{"up to the margin", gb, 0, 0, gb - memory.Margin, true},
		{"within the limit", 8 * gb, gb, 3 * gb, gb, true},
		{"beyond the limit", 8 * gb, 2 * gb, 3 * gb, gb, false},
		{"the process is over its limit", 8 * gb, 4 * gb, 3 * gb, 2 << 20, false},
		{"small is granted", 1, 0, 1, 1 << 20, true},
		{"too large for a number", 2 * gb, 0, 0, math.MaxUint64, false},
	} {
		b := budget(c.free, c.resident)
		b.SetLimit(c.limit)
		err := b.Check("an image", c.need)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
		var size *memory.SizeError
		if err != nil && (!errors.As(err, &size) || size.Need != c.need || size.ExceptionType() != "MemoryError" || !strings.Contains(err.Error(), "an image")) {
			t.Errorf("%s: %#v", c.name, err)
		}
	}
}

// TestReserveWaits: what would fit beside nothing waits for others to end; what never fits fails at once.
func TestReserveWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := budget(gb+memory.Margin, 0)
		first, err := b.Reserve(t.Context(), "a preview", gb*3/4)
		if err != nil {
			t.Fatal(err)
		}
		if have := b.Available(); have != gb/4 {
			t.Errorf("%d bytes are left, want %d", have, gb/4)
		}
		var size *memory.SizeError
		if _, err := b.Reserve(t.Context(), "a giant", 2*gb); !errors.As(err, &size) {
			t.Errorf("a giant: %v", err)
		}
		second := make(chan error)
		go func() {
			release, err := b.Reserve(t.Context(), "an image", gb/2)
			if err == nil {
				release()
				release() // does no harm
			}
			second <- err
		}()
		synctest.Wait()
		select {
		case err := <-second:
			t.Fatalf("it did not wait: %v", err)
		default:
		}
		first()
		if err := <-second; err != nil {
			t.Error(err)
		}
		if have := b.Available(); have != gb {
			t.Errorf("%d bytes are left in the end", have)
		}
	})
}

// TestReserveEnds: waiting ends with the context and its cause.
func TestReserveEnds(t *testing.T) {
	t.Parallel()
	b := budget(gb+memory.Margin, 0)
	release, err := b.Reserve(t.Context(), "a preview", gb)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	gone := errors.New("the client has left")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	if _, err := b.Reserve(ctx, "an image", gb/2); !errors.Is(err, gone) {
		t.Errorf("%v", err)
	}
}

// TestReserveOfHolders: a promise that the caller's own ones keep from fitting fails at once, and so does the last of those that would wait for each
// other; the first goes on then.
func TestReserveOfHolders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := budget(gb+memory.Margin, 0)
		var size *memory.SizeError
		first, err := b.Reserve(t.Context(), "a stage", gb/2)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.ReserveMore(t.Context(), "the next stage", gb*3/4, gb/2); !errors.As(err, &size) {
			t.Fatalf("the next stage: %v", err)
		}
		second, err := b.Reserve(t.Context(), "another call", gb/2)
		if err != nil {
			t.Fatal(err)
		}
		waited := make(chan error)
		go func() {
			release, err := b.ReserveMore(t.Context(), "the next stage", gb/4, gb/2)
			if err == nil {
				release()
			}
			waited <- err
		}()
		synctest.Wait()
		if _, err := b.ReserveMore(t.Context(), "another call's next stage", gb/4, gb/2); !errors.As(err, &size) {
			t.Fatalf("two that wait for each other: %v", err)
		}
		second()
		if err := <-waited; err != nil {
			t.Error(err)
		}
		first()
		if have := b.Available(); have != gb {
			t.Errorf("%d bytes are left in the end", have)
		}
	})
}

func TestProcessIsPlausible(t *testing.T) {
	t.Parallel()
	if n := memory.Process.Available(); n < 1<<20 || n > 1<<50 {
		t.Errorf("%d bytes are available", n)
	}
}
