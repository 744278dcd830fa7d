package sampling

import "math"

// solve returns the solution of a small system of linear equations, by elimination with row pivots; a is changed. A
// singular system gives infinities or NaN, as division would.
func solve(a [][]float64, b []float64) []float64 {
	n := len(b)
	for col := range n {
		best := col
		for row := col + 1; row < n; row++ {
			if math.Abs(a[row][col]) > math.Abs(a[best][col]) {
				best = row
			}
		}
		a[col], a[best] = a[best], a[col]
		b[col], b[best] = b[best], b[col]
		for row := col + 1; row < n; row++ {
			f := a[row][col] / a[col][col]
			for k := col; k < n; k++ {
				a[row][k] -= f * a[col][k]
			}
			b[row] -= f * b[col]
		}
	}
	x := make([]float64, n)
	for row := n - 1; row >= 0; row-- {
		x[row] = b[row]
		for k := row + 1; k < n; k++ {
			x[row] -= a[row][k] * x[k]
		}
		x[row] /= a[row][row]
	}
	return x
}
