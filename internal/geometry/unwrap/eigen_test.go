package unwrap

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestSmallest checks that the vector is a unit eigenvector of the smallest eigenvalue.
func TestSmallest(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 6))
	for range 500 {
		var points [7][3]float64
		for i := range points {
			points[i] = [3]float64{rng.Float64(), rng.Float64() * 2, rng.Float64() / 4}
		}
		var a [3][3]float64
		for _, p := range points {
			for i := range 3 {
				for j := range 3 {
					a[i][j] += p[i] * p[j]
				}
			}
		}
		x := smallest(a)
		ax := [3]float64{dot(a[0], x), dot(a[1], x), dot(a[2], x)}
		value := dot(x, ax)
		for k := range x {
			if d := math.Abs(ax[k] - value*x[k]); d > 1e-12 {
				t.Fatalf("A·x differs from λ·x by %g", d)
			}
		}
		if math.Abs(dot(x, x)-1) > 1e-12 {
			t.Fatalf("the length is %g", math.Sqrt(dot(x, x)))
		}
		for range 20 { // the Rayleigh quotient is nowhere smaller
			y := [3]float64{rng.NormFloat64(), rng.NormFloat64(), rng.NormFloat64()}
			if q := dot(y, [3]float64{dot(a[0], y), dot(a[1], y), dot(a[2], y)}) / dot(y, y); q < value-1e-12 {
				t.Fatalf("the eigenvalue is %g, but there is a quotient of %g", value, q)
			}
		}
	}
}

// TestSolve compares the factored solution with that of conjugate gradients, and both with the equations.
func TestSolve(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 8))
	const n = 40
	rows := make([]row, 3*n)
	for i := range rows {
		for range 4 {
			rows[i].add(int32(rng.IntN(n)), rng.NormFloat64())
		}
	}
	known, fixed := make([]float64, n), make([]bool, n)
	known[3], known[17], fixed[3], fixed[17] = 1, -2, true, true
	m := newNormal(rows, known, fixed)
	direct, err := m.solve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	steps, err := m.iterate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range direct {
		sum := 0.0
		for k := m.start[i]; k < m.start[i+1]; k++ {
			sum += m.value[k] * direct[m.at[k]]
		}
		if math.Abs(sum-m.right[i]) > 1e-9 || math.Abs(direct[i]-steps[i]) > 1e-8 {
			t.Errorf("unknown %d: %g and %g, equation off by %g", i, direct[i], steps[i], sum-m.right[i])
		}
	}
}
