package unwrap_test

import (
	"context"
	"errors"
	"math"
	"testing"

	"comfygo/internal/geometry"
	"comfygo/internal/geometry/unwrap"
)

// hill is a grid of n·n vertices on a smooth hill, with one vertex pulled over its neighbors, so that the projection of its chart has a fold.
func hill(n int) *geometry.Item {
	it := &geometry.Item{}
	for y := range n {
		for x := range n {
			u, v := float64(x)/float64(n-1), float64(y)/float64(n-1)
			it.Vertices = append(it.Vertices, float32(u), float32(v), float32(0.05*math.Sin(3*u)*math.Cos(2*v)))
		}
	}
	at := 3 * (n/2*n + n/2)
	it.Vertices[at] += 2.5 / float32(n-1)
	for y := range n - 1 {
		for x := range n - 1 {
			a := int32(y*n + x)
			it.Faces = append(it.Faces, a, a+1, a+int32(n), a+1, a+int32(n)+1, a+int32(n))
		}
	}
	return it
}

// options have no bounds.
func options() unwrap.Options {
	return unwrap.Options{Resolution: 256, Padding: 1, Reserve: func(string, int64) error { return nil }, Next: func(string, int64) error { return nil }, Progress: func(int, int) {}}
}

// TestLargeChart: a chart that is too large to be flattened as a whole is divided into connected charts that are flattened alone.
func TestLargeChart(t *testing.T) {
	t.Parallel()
	const n, most = 260, 1 << 13
	it := hill(n)
	out, err := unwrap.Mesh(t.Context(), it, options())
	if err != nil {
		t.Fatal(err)
	}
	if out.FaceCount() != it.FaceCount() {
		t.Fatalf("%d faces, want %d", out.FaceCount(), it.FaceCount())
	}
	for i, v := range out.UVs {
		if !(v >= 0 && v <= 1) {
			t.Fatalf("texture coordinate %d is %g", i, v)
		}
	}
	sets := geometry.NewSets(out.VertexCount()) // charts share no vertices
	for i := 0; i < len(out.Faces); i += 3 {
		sets.Join(out.Faces[i], out.Faces[i+1])
		sets.Join(out.Faces[i], out.Faces[i+2])
	}
	faces := map[int32]int{}
	for i := 0; i < len(out.Faces); i += 3 {
		faces[sets.Find(out.Faces[i])]++
	}
	largest := 0
	for _, count := range faces {
		largest = max(largest, count)
	}
	if largest > most || len(faces) < it.FaceCount()/most {
		t.Errorf("%d charts, the largest of %d faces; want at most %d faces", len(faces), largest, most)
	}
}

// counted ends at the n-th look at it.
type counted struct {
	context.Context
	left int
}

var errStop = errors.New("stop")

// Err implements context.Context.
func (c *counted) Err() error {
	if c.left--; c.left < 0 {
		return errStop
	}
	return nil
}

// Value implements context.Context; the cause of the end is Err's.
func (c *counted) Value(any) any { return nil }

// TestInterruptedAnywhere: both segmenters end with the interrupt at whichever look at it they are.
func TestInterruptedAnywhere(t *testing.T) {
	t.Parallel()
	it := hill(12)
	for _, adaptive := range []bool{false, true} {
		o := options()
		o.Adaptive = adaptive
		looks := 0
		for ; ; looks++ {
			_, err := unwrap.Mesh(&counted{t.Context(), looks}, it, o)
			if err == nil {
				break
			}
			if !errors.Is(err, errStop) {
				t.Fatalf("stopped at look %d: %v", looks, err)
			}
		}
		if looks < 10 {
			t.Errorf("adaptive %v: only %d looks for an interrupt", adaptive, looks)
		}
	}
}
