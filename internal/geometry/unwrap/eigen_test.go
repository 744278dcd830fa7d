package unwrap

import (
	"math"
	"math/rand/v2"
	"slices"
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

// TestSolve compares the solution within the envelope with that of the sparse factor, and both with the equations.
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
	direct, ok, err := m.solve(t.Context(), nil)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	var order []int32
	for _, i := range rng.Perm(len(m.columns)) {
		order = append(order, int32(i))
	}
	sparse, ok, err := m.solveSparse(t.Context(), order)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	for i := range direct {
		sum := 0.0
		for k := m.start[i]; k < m.start[i+1]; k++ {
			sum += m.value[k] * direct[m.at[k]]
		}
		if math.Abs(sum-m.right[i]) > 1e-9 || math.Abs(direct[i]-sparse[i]) > 1e-8 {
			t.Errorf("unknown %d: %g and %g, equation off by %g", i, direct[i], sparse[i], sum-m.right[i])
		}
	}
}

// TestSparseChart solves the equations of a bumpy chart whose envelope is too large, and holds the factor to the size that nested dissection
// promises: the envelope would have some ten times as many numbers.
func TestSparseChart(t *testing.T) {
	t.Parallel()
	const side = 60
	c := &chart{}
	for y := range side {
		for x := range side {
			c.points = append(c.points, [3]float64{float64(x), float64(y), 2 * math.Sin(float64(x)/7) * math.Cos(float64(y)/5)})
			c.flat = append(c.flat, [2]float64{float64(x), float64(y)})
		}
	}
	for y := range int32(side - 1) {
		for x := range int32(side - 1) {
			a := y*side + x
			c.faces = append(c.faces, a, a+1, a+side, a+1, a+side+1, a+side)
		}
	}
	n := int32(len(c.points))
	var rows []row
	for f := range len(c.faces) / 3 {
		a, b := c.equations(f, n)
		rows = append(rows, a, b)
	}
	known, fixed := make([]float64, 2*n), make([]bool, 2*n)
	for _, p := range [2]int32{0, n - 1} {
		known[p], known[p+n], fixed[p], fixed[p+n] = c.flat[p][0], c.flat[p][1], true, true
	}
	m := newNormal(rows, known, fixed)
	order, err := c.unknowns(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if sorted := slices.Sorted(slices.Values(order)); len(sorted) != len(m.columns) || int(sorted[0]) != 0 || len(slices.Compact(sorted)) != len(m.columns) {
		t.Fatalf("the order has %d unknowns, want each of %d once", len(order), len(m.columns))
	}
	x, ok, err := m.solveSparse(t.Context(), order)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	for i := range x {
		sum := 0.0
		for k := m.start[i]; k < m.start[i+1]; k++ {
			sum += m.value[k] * x[m.at[k]]
		}
		if math.Abs(sum-m.right[i]) > 1e-8 {
			t.Fatalf("equation %d is off by %g", i, sum-m.right[i])
		}
	}
	f := &factored{m: m, order: order, place: make([]int32, len(order)), parent: make([]int32, len(order)), stack: make([]int32, len(order)), mark: make([]int32, len(order))}
	for i, v := range order {
		f.place[v] = int32(i)
	}
	f.tree()
	if _, err := f.allocate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if most := 16 * float64(len(order)) * math.Log2(float64(len(order))); float64(len(f.row)) > most {
		t.Errorf("the factor has %d numbers for %d unknowns, want at most %.0f", len(f.row), len(order), most)
	}
}
