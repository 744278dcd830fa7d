package vec_test

import (
	"math"
	"slices"
	"testing"

	"comfygo/engine/torchrand"
	"comfygo/engine/vec"
)

// numbers returns n values, including special cases of float32.
func numbers(seed uint64, n int) []float32 {
	out := make([]float32, n)
	torchrand.New(seed).Randn(out)
	odd := []float32{0, float32(math.Copysign(0, -1)), float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), 1e-45, 3e38}
	for i := range out {
		if i%11 == 3 {
			out[i] = odd[i/11%len(odd)]
		}
	}
	return out
}

// same compares values bit by bit, all NaN being alike.
func same(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}

// TestEachOperationRoundsByItself compares with the same operations value by value, at lengths around those of vectors.
func TestEachOperationRoundsByItself(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 15, 16, 17, 31, 32, 33, 1000} {
		for _, f := range []float32{1, -0.3, 1e-30, 0, float32(math.Inf(1))} {
			a, b, start := numbers(1, n), numbers(2, n), numbers(3, n)
			for name, c := range map[string]struct {
				run  func(out []float32)
				want func(i int) float32
			}{
				"Scale":       {func(out []float32) { vec.Scale(out, a, f) }, func(i int) float32 { return f * a[i] }},
				"AddScaled":   {func(out []float32) { vec.AddScaled(out, a, f) }, func(i int) float32 { p := f * a[i]; return start[i] + float32(p) }},
				"Divide":      {func(out []float32) { vec.Divide(out, a, f) }, func(i int) float32 { return a[i] / f }},
				"Slope":       {func(out []float32) { vec.Slope(out, a, b, f) }, func(i int) float32 { return (a[i] - b[i]) / f }},
				"AddProducts": {func(out []float32) { vec.AddProducts(out, a, b) }, func(i int) float32 { p := a[i] * b[i]; return start[i] + float32(p) }},
				"AddBoth": {func(out []float32) { vec.AddBoth(out, a, b, f) }, func(i int) float32 {
					p := f * a[i]
					p *= b[i]
					return start[i] + float32(p)
				}},
				"Quotients":    {func(out []float32) { vec.Quotients(out, a, b) }, func(i int) float32 { return a[i] / b[i] }},
				"SubtractFrom": {func(out []float32) { vec.SubtractFrom(out, a, f) }, func(i int) float32 { return f - a[i] }},
			} {
				out := slices.Clone(start)
				c.run(out)
				for i, v := range out {
					if !same(v, c.want(i)) {
						t.Errorf("%s of %d by %v: value %d is %v, want %v", name, n, f, i, v, c.want(i))
						break
					}
				}
			}
		}
	}
}

// TestExtremes compares with max and min value by value, also within one array.
func TestExtremes(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 15, 16, 17, 33, 1000} {
		for _, shift := range []int{1, 3, 16, 40} {
			for name, c := range map[string]struct {
				run  func(out, a, b []float32)
				want func(a, b float32) float32
			}{
				"Max": {vec.Max, func(a, b float32) float32 { return max(a, b) }},
				"Min": {vec.Min, func(a, b float32) float32 { return min(a, b) }},
			} {
				a := numbers(4, n+shift)
				apart := make([]float32, n)
				c.run(apart, a, a[shift:])
				within := slices.Clone(a)
				c.run(within[:n], within, within[shift:])
				for i := range n {
					want := c.want(a[i], a[i+shift])
					if !same(apart[i]+0, want+0) || !same(within[i]+0, want+0) {
						t.Errorf("%s of %d, %d apart: value %d is %v, within one array %v, want %v", name, n, shift, i, apart[i], within[i], want)
						break
					}
				}
			}
		}
	}
}

func TestInterleave16(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 7, 8, 9, 24, 100} {
		var planes [3][]byte
		for p := range planes {
			planes[p] = make([]byte, 2*n)
			for i := range planes[p] {
				planes[p][i] = byte(i*(37+p) + 11*p + 250)
			}
		}
		out := make([]float32, 3*n)
		vec.Interleave16(out, planes[0], planes[1], planes[2], 1.0/65535)
		for i, v := range out {
			words := planes[i%3][i/3*2:]
			if want := float32(int(words[0])+int(words[1])<<8) * (1.0 / 65535); v != want {
				t.Errorf("value %d of %d: %v, want %v", i, n, v, want)
			}
		}
	}
}

func TestFiniteFindsEachPlace(t *testing.T) {
	t.Parallel()
	for n := range 70 {
		a := make([]float32, n)
		if !vec.Finite(a) {
			t.Errorf("%d zeros are not finite", n)
		}
		for i := range a {
			a[i] = -math.MaxFloat32
		}
		if !vec.Finite(a) {
			t.Errorf("%d large numbers are not finite", n)
		}
		for i := range a {
			for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
				old := a[i]
				if a[i] = bad; vec.Finite(a) {
					t.Errorf("%v at %d of %d is finite", bad, i, n)
				}
				a[i] = old
			}
		}
	}
}

// TestProduct compares matrix products with sums in float64, at sizes around those of the tiles.
func TestProduct(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ rows, n, k int }{{1, 1, 1}, {4, 16, 1}, {5, 33, 7}, {8, 48, 3}, {3, 15, 20}, {9, 16, 0}, {0, 4, 4}, {2, 0, 3}} {
		a, b := make([]float32, c.rows*c.k), make([]float32, c.k*c.n)
		torchrand.New(1).Randn(a)
		torchrand.New(2).Randn(b)
		out := slices.Repeat([]float32{7}, c.rows*c.n+1)
		vec.Product(out[:c.rows*c.n], a, b, c.n, c.k)
		for r := range c.rows {
			for j := range c.n {
				var want, size float64
				for i := range c.k {
					p := float64(a[r*c.k+i]) * float64(b[i*c.n+j])
					want, size = want+p, size+math.Abs(p)
				}
				if got := float64(out[r*c.n+j]); math.Abs(got-want) > 1e-6*size {
					t.Errorf("%+v: element %d,%d is %g, want %g", c, r, j, got, want)
				}
			}
		}
		if out[c.rows*c.n] != 7 {
			t.Errorf("%+v: the element behind the result was written to", c)
		}
	}
}
