package lowrank_test

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"comfygo/engine/lowrank"
)

// TestDecompose decomposes matrices of known singular values into all of their terms, or fewer. The remainder has to match
// the omitted singular values, and the terms have to be orthogonal.
func TestDecompose(t *testing.T) {
	t.Parallel()
	falling := []float64{9, 5, 4.5, 3, 1, 0.5, 0.1, 0.01, 1e-3}
	for name, c := range map[string]struct {
		rows, cols, rank int
		values           []float64
	}{
		"one term":                   {200, 150, 1, falling},
		"wide":                       {100, 400, 4, falling},
		"tall":                       {400, 100, 4, falling},
		"small":                      {12, 7, 3, falling[:5]},
		"as many terms as there are": {120, 300, 9, falling},
		"more than there are":        {120, 300, 20, falling},
		"equal values":               {150, 180, 3, []float64{2, 2, 2, 1, 1}},
		"most of the rank":           {40, 60, 30, falling},
		"tall, most of the rank":     {60, 40, 30, falling},
		"a row":                      {1, 9, 4, []float64{3}},
		"a column":                   {9, 1, 4, []float64{3}},
		"zero":                       {90, 80, 4, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := withValues(c.rows, c.cols, c.values)
			f, err := lowrank.Decompose(t.Context(), a, c.rows, c.cols, c.rank)
			if err != nil {
				t.Fatal(err)
			}
			if want := min(c.rank, c.rows, c.cols); f.Rank != want || len(f.Left) != want*c.rows || len(f.Right) != want*c.cols {
				t.Fatalf("rank %d, %d and %d numbers", f.Rank, len(f.Left), len(f.Right))
			}
			var left float64
			for i, v := range c.values {
				if i >= f.Rank {
					left += v * v
				}
			}
			if got := distance(a, f, c.rows, c.cols); math.Abs(got-math.Sqrt(left)) > 1e-5*(1+math.Sqrt(left)) {
				t.Errorf("what is left over has the length %g, wanted %g", got, math.Sqrt(left))
			}
			for k := range f.Rank {
				want := 0.0
				if k < len(c.values) {
					want = c.values[k]
				}
				if got := columnLength(f.Left, c.rows, f.Rank, k); math.Abs(got-want) > 2e-6*(1+want) {
					t.Errorf("singular value %d is %g, wanted %g", k, got, want)
				}
				for j := range k {
					if dot := rowsDot(f.Right, c.cols, j, k); math.Abs(dot) > 1e-4 && k < len(c.values) {
						t.Errorf("right vectors %d and %d are at %g", j, k, dot)
					}
				}
			}
		})
	}
}

func TestDecomposeRefuses(t *testing.T) {
	t.Parallel()
	nan := make([]float32, 6)
	nan[3] = float32(math.NaN())
	for name, run := range map[string]func() error{
		"a number that is none": func() error { _, err := lowrank.Decompose(t.Context(), nan, 2, 3, 1); return err },
		"another size":          func() error { _, err := lowrank.Decompose(t.Context(), nan, 2, 2, 1); return err },
		"no terms":              func() error { _, err := lowrank.Decompose(t.Context(), nan, 2, 3, 0); return err },
		"an interrupt": func() error {
			ctx, stop := context.WithCancel(t.Context())
			stop()
			_, err := lowrank.Decompose(ctx, withValues(200, 200, []float64{2, 1}), 200, 200, 3)
			return err
		},
	} {
		if run() == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

// withValues returns a matrix of these singular values and random vectors.
func withValues(rows, cols int, values []float64) []float32 {
	random := rand.New(rand.NewPCG(uint64(rows), uint64(cols)))
	basis := func(n int) [][]float64 {
		var out [][]float64
		for range values {
			v := make([]float64, n)
			for i := range v {
				v[i] = random.NormFloat64()
			}
			for range 2 {
				for _, o := range out {
					var dot float64
					for i := range v {
						dot += v[i] * o[i]
					}
					for i := range v {
						v[i] -= dot * o[i]
					}
				}
			}
			var sum float64
			for _, x := range v {
				sum += x * x
			}
			for i := range v {
				v[i] /= math.Sqrt(sum)
			}
			out = append(out, v)
		}
		return out
	}
	left, right := basis(rows), basis(cols)
	out := make([]float32, rows*cols)
	for i := range rows {
		for j := range cols {
			var sum float64
			for k, v := range values {
				sum += v * left[k][i] * right[k][j]
			}
			out[i*cols+j] = float32(sum)
		}
	}
	return out
}

// distance is the norm of the difference between a and the product of its factors.
func distance(a []float32, f *lowrank.Factors, rows, cols int) float64 {
	var sum float64
	for i := range rows {
		for j := range cols {
			d := float64(a[i*cols+j])
			for k := range f.Rank {
				d -= float64(f.Left[i*f.Rank+k]) * float64(f.Right[k*cols+j])
			}
			sum += d * d
		}
	}
	return math.Sqrt(sum)
}

func columnLength(x []float32, rows, cols, k int) float64 {
	var sum float64
	for i := range rows {
		sum += float64(x[i*cols+k]) * float64(x[i*cols+k])
	}
	return math.Sqrt(sum)
}

func rowsDot(x []float32, cols, j, k int) float64 {
	var sum float64
	for i := range cols {
		sum += float64(x[j*cols+i]) * float64(x[k*cols+i])
	}
	return sum
}
