package unwrap

import (
	"context"
	"math"
	"slices"
)

// normal are the normal equations of a least-squares problem: a symmetric sparse matrix and a right-hand side.
type normal struct {
	columns []int32 // of the problem, for each unknown
	start   []int32 // of each row's entries
	at      []int32
	value   []float64
	right   []float64
}

// newNormal forms the equations for the columns that are not fixed.
func newNormal(rows []row, known []float64, fixed []bool) *normal {
	m := &normal{}
	number := make([]int32, len(fixed))
	for i, f := range fixed {
		number[i] = -1
		if !f {
			number[i] = int32(len(m.columns))
			m.columns = append(m.columns, int32(i))
		}
	}
	type entry struct {
		at int32
		v  float64
	}
	lists := make([][]entry, len(m.columns))
	m.right = make([]float64, len(m.columns))
	for _, r := range rows {
		b := 0.0
		for k, at := range r.at[:r.n] {
			if number[at] < 0 {
				b -= r.v[k] * known[at]
			}
		}
		for i, p := range r.at[:r.n] {
			if number[p] < 0 {
				continue
			}
			m.right[number[p]] += r.v[i] * b
			for j, q := range r.at[:r.n] {
				if number[q] >= 0 {
					lists[number[p]] = append(lists[number[p]], entry{number[q], r.v[i] * r.v[j]})
				}
			}
		}
	}
	m.start = make([]int32, len(lists)+1)
	for i, list := range lists {
		slices.SortStableFunc(list, func(a, b entry) int { return int(a.at) - int(b.at) })
		for k, e := range list {
			if k > 0 && list[k-1].at == e.at {
				m.value[len(m.value)-1] += e.v
				continue
			}
			m.at, m.value = append(m.at, e.at), append(m.value, e.v)
		}
		m.start[i+1] = int32(len(m.at))
	}
	return m
}

// diagonal returns the index of a diagonal entry, or -1.
func (m *normal) diagonal(i int) int32 {
	for k := m.start[i]; k < m.start[i+1]; k++ {
		if m.at[k] == int32(i) {
			return k
		}
	}
	return -1
}

// stabilize adds a small part of the median diagonal to the diagonal.
func (m *normal) stabilize() {
	var positive []float64
	for i := range m.columns {
		if k := m.diagonal(i); k >= 0 && m.value[k] > 0 {
			positive = append(positive, m.value[k])
		}
	}
	median := 1e-8
	if n := len(positive); n > 0 {
		slices.Sort(positive)
		median = (positive[n/2] + positive[(n-1)/2]) / 2
	}
	for i := range m.columns {
		if k := m.diagonal(i); k >= 0 {
			m.value[k] += 1e-12 * max(median, 1e-20)
		}
	}
}

// maxEnvelope bounds the numbers of a factor within an envelope. Larger systems, of charts of some thousand vertices, get a sparse factor.
const maxEnvelope = 1 << 21

// solve factors the matrix within its envelope after Cuthill and McKee's order, or sparsely in the order that dissected returns. ok is false
// where either factor would be too large.
func (m *normal) solve(ctx context.Context, dissected func() ([]int32, error)) (x []float64, ok bool, err error) {
	order := m.order()
	place := make([]int32, len(order))
	for i, v := range order {
		place[v] = int32(i)
	}
	first := make([]int32, len(order)) // column of each row's first number
	total := 0
	for i, v := range order {
		first[i] = int32(i)
		for _, u := range m.at[m.start[v]:m.start[v+1]] {
			first[i] = min(first[i], place[u])
		}
		total += i - int(first[i]) + 1
	}
	if total > maxEnvelope {
		columns, err := dissected()
		if err != nil {
			return nil, false, err
		}
		return m.solveSparse(ctx, columns)
	}
	rows := make([][]float64, len(order))
	for i, v := range order {
		rows[i] = make([]float64, i-int(first[i])+1)
		for k := m.start[v]; k < m.start[v+1]; k++ {
			if j := place[m.at[k]]; int(j) <= i {
				rows[i][j-first[i]] = m.value[k]
			}
		}
	}
	if err := factor(ctx, rows, first); err != nil {
		return nil, false, err
	}
	x = make([]float64, len(order))
	for i, v := range order {
		x[i] = m.right[v]
	}
	substitute(rows, first, x)
	out := make([]float64, len(order))
	for i, v := range order {
		out[v] = x[i]
	}
	return out, true, nil
}

// factor is Cholesky's: each row of the lower factor replaces one of the matrix.
func factor(ctx context.Context, rows [][]float64, first []int32) error {
	for i, row := range rows {
		if i&0xff == 0 {
			if err := context.Cause(ctx); err != nil {
				return err
			}
		}
		for k := range row[:len(row)-1] {
			j := int(first[i]) + k
			from := max(first[i], first[j])
			sum := row[k]
			a, b := row[from-first[i]:k], rows[j][from-first[j]:]
			for t, v := range a {
				sum -= v * b[t]
			}
			row[k] = sum / rows[j][len(rows[j])-1]
		}
		sum := row[len(row)-1]
		for _, v := range row[:len(row)-1] {
			sum -= v * v
		}
		row[len(row)-1] = math.Sqrt(sum)
	}
	return nil
}

// substitute solves with the factor and its transpose.
func substitute(rows [][]float64, first []int32, x []float64) {
	for i, row := range rows {
		for k, v := range row[:len(row)-1] {
			x[i] -= v * x[int(first[i])+k]
		}
		x[i] /= row[len(row)-1]
	}
	for i := len(rows) - 1; i >= 0; i-- {
		row := rows[i]
		x[i] /= row[len(row)-1]
		for k, v := range row[:len(row)-1] {
			x[int(first[i])+k] -= v * x[i]
		}
	}
}

// order is the reverse of a breadth-first order that begins far from the middle (Cuthill and McKee 1969).
func (m *normal) order() []int32 {
	n := len(m.columns)
	seen := make([]bool, n)
	out := make([]int32, 0, n)
	degree := func(v int32) int { return int(m.start[v+1] - m.start[v]) }
	walk := func(start int32) []int32 {
		from := len(out)
		out = append(out, start)
		seen[start] = true
		for i := from; i < len(out); i++ {
			mark := len(out)
			for _, u := range m.at[m.start[out[i]]:m.start[out[i]+1]] {
				if !seen[u] {
					seen[u] = true
					out = append(out, u)
				}
			}
			slices.SortFunc(out[mark:], func(a, b int32) int { return degree(a) - degree(b) })
		}
		return out[from:]
	}
	for v := range int32(n) {
		if seen[v] {
			continue
		}
		part := walk(v)
		last := part[len(part)-1]
		for _, u := range part {
			seen[u] = false
		}
		out = out[:len(out)-len(part)]
		walk(last)
	}
	slices.Reverse(out)
	return out
}
