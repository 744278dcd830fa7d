package geometry_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"comfygo/internal/geometry"
)

// counted counts the looks for an interrupt and stops at one of them; -1 never stops.
type counted struct {
	context.Context
	looks, stop int
}

var errStop = errors.New("stop")

// Err implements context.Context.
func (c *counted) Err() error {
	c.looks++
	if c.stop >= 0 && c.looks > c.stop {
		return errStop
	}
	return nil
}

// Value implements context.Context; the cause of the end is Err's.
func (c *counted) Value(any) any { return nil }

// TestLooks: what all mesh algorithms are made of looks for an interrupt at least once for every 65536 things, and ends with it.
func TestLooks(t *testing.T) {
	t.Parallel()
	const n, most = 1 << 18, 1 << 16
	rng := rand.New(rand.NewPCG(1, 2))
	faces, floats, order := make([]int32, n), make([]float32, n), make([]int32, n)
	for i := range n {
		faces[i], floats[i], order[i] = rng.Int32N(n), rng.Float32(), int32(i)
	}
	halves := func() []geometry.Half {
		list := make([]geometry.Half, n)
		for i := range list {
			list[i] = geometry.Half{Key: uint64(faces[i]), Half: int32(i)}
		}
		return list
	}
	for name, do := range map[string]func(ctx context.Context) error{
		"Each":       func(ctx context.Context) error { return geometry.Each(ctx, n, func(int) {}) },
		"SortHalves": func(ctx context.Context) error { return geometry.SortHalves(ctx, halves()) },
		"Sort":       func(ctx context.Context) error { return geometry.Sort(ctx, slices.Clone(floats)) },
		"Select": func(ctx context.Context) error {
			return geometry.Select(ctx, slices.Clone(order), 0, n, n/2, func(i int32) float32 { return floats[i] })
		},
		"EachEdge": func(ctx context.Context) error { return geometry.EachEdge(ctx, halves(), func([]geometry.Half) {}) },
		"Group": func(ctx context.Context) error {
			_, _, err := geometry.Group(ctx, n, func(i int) [3]int64 { return [3]int64{int64(faces[i])} })
			return err
		},
		"SortedEdges": func(ctx context.Context) error { _, err := geometry.SortedEdges(ctx, faces[:n/3*3]); return err },
		"Gather":      func(ctx context.Context) error { _, err := geometry.Gather(ctx, floats, faces, 1); return err },
		"Used":        func(ctx context.Context) error { _, _, err := geometry.Used(ctx, faces, n); return err },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := &counted{t.Context(), 0, -1}
			if err := do(all); err != nil {
				t.Fatal(err)
			}
			least := n / most
			if name == "Select" { // counts steps of both ends together
				least /= 4
			}
			if all.looks < least {
				t.Errorf("%d looks for %d things, want at least %d", all.looks, n, least)
			}
			for _, stop := range []int{0, all.looks / 2, all.looks - 1} {
				c := &counted{t.Context(), 0, stop}
				if err := do(c); !errors.Is(err, errStop) {
					t.Errorf("stopped at look %d of %d: %v", stop, all.looks, err)
				}
			}
		})
	}
}

// TestSort compares with the standard library's.
func TestSort(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{0, 1, 5, 1 << 16, 1<<16 + 1, 300_001} {
		list := make([]int32, n)
		for i := range list {
			list[i] = rng.Int32N(1000)
		}
		want := slices.Sorted(slices.Values(list))
		if err := geometry.Sort(t.Context(), list); err != nil || !slices.Equal(list, want) {
			t.Errorf("%d numbers: not sorted, %v", n, err)
		}
	}
}
