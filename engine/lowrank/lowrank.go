// Package lowrank approximates matrices by products of two thin ones. It knows no models, files or adapters.
package lowrank

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
)

// Factors are the first terms of a singular value decomposition: a matrix [rows,cols] is about Left·Right.
type Factors struct {
	// Left holds the left singular vectors [rows,rank], each times its singular value.
	Left []float32
	// Right holds the right singular vectors [rank,cols].
	Right []float32
	// Rank is the number of terms: the requested one, at most the smaller side of the matrix.
	Rank int
}

// Decompose returns the terms of the largest singular values of a [rows,cols]. Signs are such that the entry of the largest
// magnitude of each left vector is positive. It fails on numbers that are not finite.
func Decompose(ctx context.Context, a []float32, rows, cols, rank int) (*Factors, error) {
	if rows < 1 || cols < 1 || rank < 1 || len(a) != rows*cols {
		return nil, fmt.Errorf("decomposing a matrix of %d x %d with %d numbers into %d terms", rows, cols, len(a), rank)
	}
	for _, v := range a {
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, fmt.Errorf("decomposing a matrix of %d x %d: it has numbers that are not finite", rows, cols)
		}
	}
	rank = min(rank, rows, cols)
	m := matrix{data: a, rows: rows, cols: cols}
	var left [][]float64
	var err error
	if small := min(rows, cols); 4*rank >= small || small <= 32 {
		left, err = m.dense(ctx, rank)
	} else {
		left, err = m.lanczos(ctx, rank)
	}
	if err != nil {
		return nil, err
	}
	return m.factors(left), nil
}

// factors makes the terms of orthonormal left vectors: the right ones are the products with the matrix.
func (m matrix) factors(left [][]float64) *Factors {
	f := &Factors{Left: make([]float32, m.rows*len(left)), Right: make([]float32, len(left)*m.cols), Rank: len(left)}
	for k, u := range left {
		v := m.transposed(u)
		size := norm(v)
		if u[largest(u)] < 0 {
			size = -size
		}
		for i, x := range u {
			f.Left[i*f.Rank+k] = float32(x * size)
		}
		if size == 0 {
			continue
		}
		for j, x := range v {
			f.Right[k*m.cols+j] = float32(x / size)
		}
	}
	return f
}

func largest(v []float64) int {
	at := 0
	for i, x := range v {
		if math.Abs(x) > math.Abs(v[at]) {
			at = i
		}
	}
	return at
}

// dense decomposes the product of the matrix with itself on its smaller side.
func (m matrix) dense(ctx context.Context, rank int) ([][]float64, error) {
	gram := m.gram()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	_, vectors := eigen(gram)
	vectors = vectors[:rank]
	if m.rows <= m.cols {
		return vectors, nil
	}
	left := make([][]float64, 0, rank)
	for _, v := range vectors {
		left = append(left, m.times(v))
	}
	return orthonormal(left), nil
}

// orthonormal makes vectors orthonormal in their order. A vector that depends on those before it leaves only rounding errors
// and is replaced.
func orthonormal(vs [][]float64) [][]float64 {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // any direction serves
	for k, v := range vs {
		before := norm(v)
		clear := clearOf(v, vs[:k])
		for !(clear > 1e-10*before) || clear == 0 {
			for i := range v {
				v[i] = random.NormFloat64()
			}
			before = norm(v)
			clear = clearOf(v, vs[:k])
		}
		scale(v, 1/clear)
	}
	return vs
}

// lanczos finds the largest singular values by Golub and Kahan's bidiagonalization with full orthogonalization (Matrix
// Computations, 10.4): the Krylov space grows until the vectors no longer change by more than float32 shows.
func (m matrix) lanczos(ctx context.Context, rank int) ([][]float64, error) {
	const enough = 1e-7
	random := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // any start serves, and the same one each time
	most := min(m.rows, m.cols)
	var left, right [][]float64
	var alpha, beta []float64 // the diagonal, and the superdiagonal
	next := start(random, m.cols, nil)
	for check := 2*rank + 8; ; {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		right = append(right, next)
		u := m.times(next)
		if len(left) > 0 {
			addScaled(u, left[len(left)-1], -beta[len(beta)-1])
		}
		a := clearOf(u, left)
		if floor := 1e-14 * m.bound(alpha); a <= floor {
			a, u = 0, start(random, m.rows, left)
		} else {
			scale(u, 1/a)
		}
		left, alpha = append(left, u), append(alpha, a)
		v := m.transposed(u)
		addScaled(v, next, -a)
		b := clearOf(v, right)
		done := len(left) == most
		if floor := 1e-14 * m.bound(alpha); b <= floor {
			b = 0
			if !done {
				v = start(random, m.cols, right)
			}
		} else {
			scale(v, 1/b)
		}
		beta, next = append(beta, b), v
		if len(left) < check && !done {
			continue
		}
		check += max(check/2, 1)
		vectors, residual := projected(alpha, beta, rank)
		if done || residual <= enough {
			return combined(left, vectors), nil
		}
	}
}

// bound is about the largest singular value seen so far.
func (m matrix) bound(alpha []float64) float64 {
	most := 0.0
	for _, a := range alpha {
		most = max(most, math.Abs(a))
	}
	return most
}

// projected returns the left singular vectors of the bidiagonal matrix that belong to its largest singular values, and how far
// the worst of them is from one of the whole matrix, as a share of the largest singular value.
func projected(alpha, beta []float64, rank int) (vectors [][]float64, residual float64) {
	n := len(alpha)
	t := make([][]float64, n) // the product of the bidiagonal matrix with its transpose
	for i := range t {
		t[i] = make([]float64, n)
		t[i][i] = alpha[i] * alpha[i]
		if i+1 < n {
			t[i][i] += beta[i] * beta[i]
		}
	}
	for i := range n - 1 {
		t[i][i+1] = alpha[i+1] * beta[i]
		t[i+1][i] = t[i][i+1]
	}
	values, vectors := eigen(t)
	vectors = vectors[:min(rank, n)]
	largest := math.Sqrt(max(values[0], 0))
	if largest == 0 {
		return vectors, 0
	}
	for _, v := range vectors {
		residual = max(residual, math.Abs(v[n-1]*beta[n-1])/largest)
	}
	return vectors, residual
}

// combined returns the linear combinations of a basis with the coefficients vectors.
func combined(basis, vectors [][]float64) [][]float64 {
	out := make([][]float64, len(vectors))
	for k, v := range vectors {
		out[k] = make([]float64, len(basis[0]))
		for i, f := range v {
			addScaled(out[k], basis[i], f)
		}
	}
	return orthonormal(out)
}

// start returns a vector of length one that is orthogonal to others.
func start(random *rand.Rand, n int, others [][]float64) []float64 {
	v := make([]float64, n)
	for {
		for i := range v {
			v[i] = random.NormFloat64()
		}
		if size := clearOf(v, others); size > 1e-6 {
			scale(v, 1/size)
			return v
		}
	}
}
