package lowrank

import (
	"math"
	"runtime"
	"sync"
)

// matrix is row by row.
type matrix struct {
	data       []float32
	rows, cols int
}

func (m matrix) row(i int) []float32 { return m.data[i*m.cols : (i+1)*m.cols] }

// times returns the product with a vector of cols numbers.
func (m matrix) times(v []float64) []float64 {
	out := make([]float64, m.rows)
	each(m.rows, m.cols, func(from, to int) {
		for i := from; i < to; i++ {
			var a, b, c, d float64
			row, j := m.row(i), 0
			for ; j+4 <= len(row); j += 4 {
				a += float64(row[j]) * v[j]
				b += float64(row[j+1]) * v[j+1]
				c += float64(row[j+2]) * v[j+2]
				d += float64(row[j+3]) * v[j+3]
			}
			for ; j < len(row); j++ {
				a += float64(row[j]) * v[j]
			}
			out[i] = a + b + c + d
		}
	})
	return out
}

// transposed returns the product of the transpose with a vector of rows numbers.
func (m matrix) transposed(u []float64) []float64 {
	out := make([]float64, m.cols)
	each(m.cols, m.rows, func(from, to int) {
		for i, f := range u {
			sum := out[from:to]
			for j, x := range m.row(i)[from:to] {
				sum[j] += f * float64(x)
			}
		}
	})
	return out
}

// gram returns the product of the matrix with its transpose, or of the transpose with the matrix where that is smaller.
func (m matrix) gram() [][]float64 {
	if m.rows > m.cols {
		t := matrix{data: make([]float32, len(m.data)), rows: m.cols, cols: m.rows}
		for i := range m.rows {
			for j, x := range m.row(i) {
				t.data[j*t.cols+i] = x
			}
		}
		return t.gram()
	}
	out := make([][]float64, m.rows)
	for i := range out {
		out[i] = make([]float64, m.rows)
	}
	each(m.rows, m.rows*m.cols/2, func(from, to int) {
		v := make([]float64, m.cols)
		for i := from; i < to; i++ {
			for j, x := range m.row(i) {
				v[j] = float64(x)
			}
			for k := range i + 1 {
				var sum float64
				for j, x := range m.row(k) {
					sum += float64(x) * v[j]
				}
				out[i][k] = sum
			}
		}
	})
	for i := range out {
		for k := range i {
			out[k][i] = out[i][k]
		}
	}
	return out
}

// each processes n items in parallel ranges; cost is the approximate number of operations per item.
func each(n, cost int, run func(from, to int)) {
	const least = 1 << 16 // operations that are worth a goroutine
	workers := max(1, min(runtime.GOMAXPROCS(0), n, n*cost/least))
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() { run(n*w/workers, n*(w+1)/workers) })
	}
	wg.Wait()
}

// clearOf takes what v has of others, which are orthonormal, out of it, twice, and returns the length that is left.
func clearOf(v []float64, others [][]float64) float64 {
	for range 2 {
		for _, o := range others {
			var dot float64
			for i, x := range o {
				dot += x * v[i]
			}
			addScaled(v, o, -dot)
		}
	}
	return norm(v)
}

func addScaled(v, a []float64, f float64) {
	for i, x := range a {
		v[i] += f * x
	}
}

func scale(v []float64, f float64) {
	for i := range v {
		v[i] *= f
	}
}

func norm(v []float64) float64 {
	var sum float64
	for _, x := range v {
		sum += x * x
	}
	return math.Sqrt(sum)
}
