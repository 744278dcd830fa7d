package ort

import (
	"sync"
	"testing"
)

// TestShrinkingSessions runs sessions without an arena at the same time, on inputs of changing sizes whose intermediate results are larger
// than the allocator's blocks: a buffer that two of them had at once would give wrong numbers.
func TestShrinkingSessions(t *testing.T) {
	t.Parallel()
	const sessions, runs = 3, 12
	names := []string{"x", "a", "b", "c", "d", "y"}
	var nodes []wireNode
	for i := range len(names) - 1 {
		op := "Neg"
		if i%2 == 1 {
			op = "Tanh" // in place of a chain that the library would take apart
		}
		nodes = append(nodes, nodeOf(op, names[i:i+1], names[i+1:i+2]))
	}
	g := graph{nodes: nodes, inputs: []wireTensor{tensorOf("x", -1)}, outputs: []wireTensor{tensorOf("y", -1)}}
	plain := newSession(t, g.spec("plain"))
	spec := g.spec("shrinking")
	spec.Shrink = true
	one := []float32{0.25}
	want := float32At(t, plain, one, 0)
	var wg sync.WaitGroup
	for range sessions {
		s := newSession(t, spec)
		wg.Go(func() {
			for i := range runs {
				x := make([]float32, (i%4+1)*700_001)
				for k := range x {
					x[k] = one[0]
				}
				for _, at := range []int{0, len(x) / 2, len(x) - 1} {
					if got := float32At(t, s, x, at); got != want {
						t.Errorf("element %d of %d is %v, want %v", at, len(x), got, want)
					}
				}
			}
		})
	}
	wg.Wait()
	TrimMemory()
	if got := float32At(t, newSession(t, spec), one, 0); got != want {
		t.Errorf("after the memory was given back a run gives %v, want %v", got, want)
	}
}

// float32At runs s on x and returns one element of y.
func float32At(t *testing.T, s *Session, x []float32, at int) float32 {
	t.Helper()
	out, err := s.Run(t.Context(), map[string]Value{"x": Floats(x, len(x))}, []string{"y"})
	if err != nil {
		t.Error(err)
		return 0
	}
	y, err := out["y"].Float32s()
	if err != nil || len(y) != len(x) {
		t.Errorf("%d elements for %d, %v", len(y), len(x), err)
		return 0
	}
	return y[at]
}
