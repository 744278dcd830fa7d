package lowrank

import (
	"cmp"
	"math"
	"slices"
)

// eigen returns the eigenvalues of a symmetric matrix, largest first, with their vectors. The matrix is overwritten. It
// reduces to tridiagonal form by reflections and that to a diagonal by rotations (Golub and Van Loan, Matrix Computations,
// 8.3).
func eigen(a [][]float64) (values []float64, vectors [][]float64) {
	n := len(a)
	d, e, q := tridiagonal(a)
	rotated(d, e, q)
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(d[j], d[i]) })
	for _, i := range order {
		values, vectors = append(values, d[i]), append(vectors, q[i])
	}
	return values, vectors
}

// tridiagonal returns the diagonal and the off-diagonal of a matrix T with a = Qᵀ·T·Q; q holds the rows of Q.
func tridiagonal(a [][]float64) (d, e []float64, q [][]float64) {
	n := len(a)
	d, e, q = make([]float64, n), make([]float64, n), make([][]float64, n)
	for i := range q {
		q[i] = make([]float64, n)
		q[i][i] = 1
	}
	for k := range max(n-2, 0) {
		// The reflection maps column k below the diagonal to its first element.
		v := make([]float64, n)
		for i := k + 1; i < n; i++ {
			v[i] = a[i][k]
		}
		length := norm(v)
		if length == 0 {
			continue
		}
		v[k+1] += math.Copysign(length, v[k+1])
		scale(v, 1/norm(v))
		reflectBoth(a, v, k)
		mixRows(q, v, k+1)
	}
	for i := range n {
		d[i] = a[i][i]
		if i+1 < n {
			e[i] = a[i+1][i]
		}
	}
	return d, e, q
}

// reflectBoth replaces a by H·a·H with H = 1 - 2·v·vᵀ, where v is zero up to k.
func reflectBoth(a [][]float64, v []float64, k int) {
	n := len(a)
	p := make([]float64, n)
	for i := k; i < n; i++ {
		row := a[i]
		var sum float64
		for j := k + 1; j < n; j++ {
			sum += row[j] * v[j]
		}
		p[i] = sum
	}
	var inner float64
	for i := k + 1; i < n; i++ {
		inner += v[i] * p[i]
	}
	for i := k; i < n; i++ { // p becomes 2·(a·v - (vᵀ·a·v)·v)
		p[i] = 2 * (p[i] - inner*v[i])
	}
	for i := k; i < n; i++ {
		row, vi, pi := a[i], v[i], p[i]
		for j := k; j < n; j++ {
			row[j] -= vi*p[j] + pi*v[j]
		}
	}
}

// mixRows replaces q by H·q, where v is zero before from.
func mixRows(q [][]float64, v []float64, from int) {
	sum := make([]float64, len(q))
	for i := from; i < len(q); i++ {
		addScaled(sum, q[i], 2*v[i])
	}
	for i := from; i < len(q); i++ {
		addScaled(q[i], sum, -v[i])
	}
}

// rotated converts the tridiagonal matrix of diagonal d and off-diagonal e to a diagonal one by the QL algorithm with implicit
// shifts, and applies the rotations to the rows of q, which become the eigenvectors.
func rotated(d, e []float64, q [][]float64) {
	n := len(d)
	for l := range n {
		for {
			m := l
			for ; m+1 < n; m++ {
				if size := math.Abs(d[m]) + math.Abs(d[m+1]); math.Abs(e[m]) <= 1e-16*size {
					break
				}
			}
			if m == l {
				break
			}
			sweep(d, e, q, l, m)
		}
	}
}

// sweep is one QL step on the rows l to m.
func sweep(d, e []float64, q [][]float64, l, m int) {
	g := (d[l+1] - d[l]) / (2 * e[l])
	r := math.Hypot(g, 1)
	g = d[m] - d[l] + e[l]/(g+math.Copysign(r, g))
	s, c, p := 1.0, 1.0, 0.0
	for i := m - 1; i >= l; i-- {
		f, b := s*e[i], c*e[i]
		r = math.Hypot(f, g)
		e[i+1] = r
		if r == 0 {
			d[i+1] -= p
			e[m] = 0
			return
		}
		s, c = f/r, g/r
		g = d[i+1] - p
		r = (d[i]-g)*s + 2*c*b
		p = s * r
		d[i+1] = g + p
		g = c*r - b
		upper, lower := q[i+1], q[i]
		for k, x := range upper {
			upper[k], lower[k] = s*lower[k]+c*x, c*lower[k]-s*x
		}
	}
	d[l] -= p
	e[l] = g
	e[m] = 0
}
