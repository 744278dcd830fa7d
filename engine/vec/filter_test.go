package vec

import (
	"math"
	"testing"

	"golang.org/x/sys/cpu"
)

// TestFilter compares with sums in double precision, for filters of one and several vectors and steps of one and more. Elements of the result
// between its steps stay.
func TestFilter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ taps, n, outStep, inStep int }{{8, 1, 1, 1}, {16, 37, 2, 1}, {24, 19, 1, 3}, {40, 12, 160, 147}, {8, 0, 1, 1}} {
		in := make([]float32, max(c.n-1, 0)*c.inStep+c.taps)
		for i := range in {
			in[i] = float32(math.Sin(float64(i * i)))
		}
		w := make([]float32, c.taps)
		for i := range w {
			w[i] = float32(math.Cos(float64(3 * i)))
		}
		out := make([]float32, max(c.n-1, 0)*c.outStep+1)
		for i := range out {
			out[i] = -7
		}
		if !Filter(out, in, w, c.n, c.outStep, c.inStep) {
			if cpu.X86.HasAVX2 && cpu.X86.HasFMA {
				t.Fatalf("%+v: nothing was done", c)
			}
			continue
		}
		for i, got := range out {
			want := -7.0
			if i%c.outStep == 0 && c.n > 0 {
				want = 0
				for k, f := range w {
					want += float64(f) * float64(in[i/c.outStep*c.inStep+k])
				}
			}
			if math.Abs(float64(got)-want) > 1e-5 { // rounding of forty products of at most one
				t.Errorf("%+v: element %d is %v, want %v", c, i, got, want)
			}
		}
	}
}

// TestFilterRefuses: what would read beyond the input, or is no whole number of vectors, panics.
func TestFilterRefuses(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]func(){
		"length":       func() { Filter(make([]float32, 4), make([]float32, 16), make([]float32, 7), 2, 1, 1) },
		"short input":  func() { Filter(make([]float32, 4), make([]float32, 10), make([]float32, 8), 4, 1, 1) },
		"short result": func() { Filter(make([]float32, 4), make([]float32, 99), make([]float32, 8), 3, 2, 1) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}
