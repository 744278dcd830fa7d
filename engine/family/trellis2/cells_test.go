package trellis2

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
)

// block are the cells of a cube of so many a side, in order.
func block(side int32) []int32 {
	at := make([]int32, 0, axes*int(side*side*side))
	for i := range side * side * side {
		at = append(at, i/(side*side), i/side%side, i%side)
	}
	return at
}

// TestNeighbours finds cells at the offsets of a kernel by looking at all, also at the border of what a key holds.
func TestNeighbours(t *testing.T) {
	t.Parallel()
	const last = 1<<placeBits - 1
	at := append(block(3), 4, 0, 0, last, last, last, last, last-1, last, 0, 1, 0x7)
	got, err := neighbours(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	n := len(at) / axes
	for i := range n {
		for o := range offsets {
			want := n
			for j := range n {
				d := [axes]int{o/9 - 1, o/3%3 - 1, o%3 - 1}
				if slices.Equal(at[axes*j:axes*j+axes], []int32{at[axes*i] + int32(d[0]), at[axes*i+1] + int32(d[1]), at[axes*i+2] + int32(d[2])}) {
					want = j
				}
			}
			if got[o*n+i] != int64(want) {
				t.Fatalf("cell %d at %v has the neighbour %d at offset %d, want %d", i, at[axes*i:axes*i+axes], got[o*n+i], o, want)
			}
		}
	}
}

// TestDivided divides cells, none of them, too many of them, and those of a job that was interrupted.
func TestDivided(t *testing.T) {
	t.Parallel()
	at, from, err := divided(t.Context(), []int32{0, 0, 0, 2, 3, 4}, []float32{0, 0, 0, 0, 0, 0, 1, -1, 1, 0, 0, 0, 0, 0, 0, 2})
	if err != nil || !slices.Equal(at, []int32{0, 1, 1, 4, 6, 8, 5, 7, 9}) || !slices.Equal(from, []int64{6, 8, 15}) {
		t.Errorf("%v, %v, %v", at, from, err)
	}
	if _, _, err := divided(t.Context(), []int32{0, 0, 0}, make([]float32, parts)); err == nil || !strings.Contains(err.Error(), "the shape is empty") {
		t.Errorf("nothing left: %v", err)
	}
	many := make([]int32, axes*(mostCells/parts+1))
	all := make([]float32, len(many)/axes*parts)
	for i := range all {
		all[i] = 1
	}
	if _, _, err := divided(t.Context(), many, all); err == nil || !strings.Contains(err.Error(), "choose a lower resolution") {
		t.Errorf("too many cells: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped")
	cancel(stopped)
	if _, _, err := divided(ctx, many, all); !errors.Is(err, stopped) {
		t.Errorf("interrupted: %v", err)
	}
	if _, err := neighbours(ctx, block(3)); !errors.Is(err, stopped) {
		t.Errorf("interrupted: %v", err)
	}
	if _, err := surface(ctx, block(3), make([]float32, shapeValues*27), 3); !errors.Is(err, stopped) {
		t.Errorf("interrupted: %v", err)
	}
}

// TestSurface makes the square around the inner edge of four cells, cut by the weights of its corners.
func TestSurface(t *testing.T) {
	t.Parallel()
	at := []int32{0, 0, 0, 0, 0, 1, 0, 1, 1, 0, 1, 0}
	values := make([]float32, shapeValues*4)
	values[axes] = 1 // the first cell crosses the x axis
	m, err := surface(t.Context(), at, values, 2)
	if err != nil || !slices.Equal(m.Faces, []int32{0, 1, 3, 3, 1, 2}) {
		t.Errorf("%v, %v", m.Faces, err)
	}
	if want := []float32{-0.25, -0.25, -0.25, -0.25, -0.25, 0.25}; !slices.Equal(m.Vertices[:6], want) {
		t.Errorf("vertices at %v, want %v", m.Vertices[:6], want)
	}
	values[2*axes] = 30 // what the identity gives
	if m, err = surface(t.Context(), at, values, 2); err != nil || !slices.Equal(m.Faces, []int32{0, 1, 2, 0, 2, 3}) {
		t.Errorf("%v, %v", m.Faces, err)
	}
	if _, err := surface(t.Context(), at, values, 0); err == nil || !strings.Contains(err.Error(), "at least one") {
		t.Errorf("no resolution: %v", err)
	}
}

func BenchmarkNeighbours(b *testing.B) {
	at := block(100)
	for b.Loop() {
		if _, err := neighbours(b.Context(), at); err != nil {
			b.Fatal(err)
		}
	}
}
