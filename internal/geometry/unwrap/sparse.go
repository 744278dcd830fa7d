package unwrap

import (
	"context"
	"math"

	"comfygo/internal/geometry"
)

// leastPart is the number of vertices up to which a part is not divided further by dissect.
const leastPart = 16

// dissector orders the vertices of a chart by nested dissection (George 1973): both halves of a part, then the vertices that separate them, so
// that the factors of the chart's equations stay small.
type dissector struct {
	points [][3]float64
	start  []int32 // of each vertex's neighbors
	beside []int32
	label  []int32 // of the part that a vertex is in
	labels int32
	out    []int32
}

// dissect returns the order of the chart's vertices.
func (c *chart) dissect(ctx context.Context) ([]int32, error) {
	n := len(c.points)
	d := &dissector{points: c.points, start: make([]int32, n+1), beside: make([]int32, 2*len(c.faces)), label: make([]int32, n), out: make([]int32, 0, n)}
	for _, v := range c.faces {
		d.start[v+1] += 2
	}
	for v := range n {
		d.start[v+1] += d.start[v]
	}
	next := append([]int32(nil), d.start[:n]...)
	for i, v := range c.faces {
		first := i - i%3
		for k := 1; k < 3; k++ {
			d.beside[next[v]] = c.faces[first+(i+k)%3]
			next[v]++
		}
	}
	part := make([]int32, n)
	for v := range part {
		part[v] = int32(v)
	}
	return d.out, d.divide(ctx, part)
}

// divide appends the vertices of a part to the order. All have the same label and no others have it.
func (d *dissector) divide(ctx context.Context, part []int32) error {
	if len(part) <= leastPart {
		d.out = append(d.out, part...)
		return nil
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	axis := d.longest(part)
	middle := int32(len(part) / 2)
	if err := geometry.Select(ctx, part, 0, int32(len(part)), middle, func(v int32) float32 { return float32(d.points[v][axis]) }); err != nil {
		return err
	}
	left, right := part[:middle], part[middle:]
	d.labels += 2
	for _, v := range left {
		d.label[v] = d.labels - 1
	}
	for _, v := range right {
		d.label[v] = d.labels
	}
	own := d.labels
	kept := left[:0]
	var between []int32
	for _, v := range left {
		if d.touches(v, own) {
			between = append(between, v)
		} else {
			kept = append(kept, v)
		}
	}
	if err := d.divide(ctx, kept); err != nil {
		return err
	}
	if err := d.divide(ctx, right); err != nil {
		return err
	}
	d.out = append(d.out, between...)
	return nil
}

func (d *dissector) touches(v, label int32) bool {
	for _, u := range d.beside[d.start[v]:d.start[v+1]] {
		if d.label[u] == label {
			return true
		}
	}
	return false
}

func (d *dissector) longest(part []int32) (axis int) {
	lo, hi := d.points[part[0]], d.points[part[0]]
	for _, v := range part {
		for k, x := range d.points[v] {
			lo[k], hi[k] = min(lo[k], x), max(hi[k], x)
		}
	}
	for k := 1; k < 3; k++ {
		if hi[k]-lo[k] > hi[axis]-lo[axis] {
			axis = k
		}
	}
	return axis
}

// maxFactor bounds the numbers of a sparse factor, 12 bytes each.
const maxFactor = 1 << 26

// factored is the lower factor of a symmetric matrix by columns, the diagonal first.
type factored struct {
	m      *normal
	order  []int32 // of the matrix's rows
	place  []int32 // of each row in the order
	parent []int32 // of the elimination tree
	start  []int64
	row    []int32
	value  []float64

	stack, mark []int32
}

// solveSparse solves with a factor in the given order of the problem's columns; ok is false where the factor would be too large.
func (m *normal) solveSparse(ctx context.Context, columns []int32) (x []float64, ok bool, err error) {
	f := &factored{m: m, order: columns, place: make([]int32, len(columns)), parent: make([]int32, len(columns)), stack: make([]int32, len(columns)), mark: make([]int32, len(columns))}
	for i, v := range columns {
		f.place[v] = int32(i)
	}
	f.tree()
	if ok, err := f.allocate(ctx); !ok || err != nil {
		return nil, false, err
	}
	if err := f.factor(ctx); err != nil {
		return nil, false, err
	}
	return f.solve(), true, nil
}

// tree computes the elimination tree (Liu 1990).
func (f *factored) tree() {
	ancestor := make([]int32, len(f.order))
	for k, v := range f.order {
		f.parent[k], ancestor[k], f.mark[k] = -1, -1, -1
		for _, u := range f.m.at[f.m.start[v]:f.m.start[v+1]] {
			for i := f.place[u]; i >= 0 && int(i) < k; {
				next := ancestor[i]
				ancestor[i] = int32(k)
				if next < 0 {
					f.parent[i] = int32(k)
				}
				i = next
			}
		}
	}
}

// reach returns the columns that row k of the factor has numbers in, before the diagonal, each behind those that it needs.
func (f *factored) reach(k int) []int32 {
	top := len(f.stack)
	f.mark[k] = int32(k)
	v := f.order[k]
	for _, u := range f.m.at[f.m.start[v]:f.m.start[v+1]] {
		i := f.place[u]
		if int(i) > k {
			continue
		}
		n := 0
		for ; f.mark[i] != int32(k); i = f.parent[i] {
			f.stack[n] = i
			n++
			f.mark[i] = int32(k)
		}
		for n > 0 {
			n--
			top--
			f.stack[top] = f.stack[n]
		}
	}
	return f.stack[top:]
}

// allocate counts the numbers of each column; ok is false where there are too many.
func (f *factored) allocate(ctx context.Context) (ok bool, err error) {
	n := len(f.order)
	f.start = make([]int64, n+1)
	total := int64(n)
	for k := range n {
		if k&0xfff == 0 {
			if err := context.Cause(ctx); err != nil {
				return false, err
			}
		}
		f.start[k+1]++
		columns := f.reach(k)
		for _, i := range columns {
			f.start[i+1]++
		}
		if total += int64(len(columns)); total > maxFactor {
			return false, nil
		}
	}
	for k := range n {
		f.start[k+1] += f.start[k]
		f.mark[k] = -1
	}
	f.row, f.value = make([]int32, total), make([]float64, total)
	return true, nil
}

// factor computes the rows of the factor one after the other (Davis 2006, section 4.7).
func (f *factored) factor(ctx context.Context) error {
	next := append([]int64(nil), f.start[:len(f.order)]...)
	x := make([]float64, len(f.order))
	for k, v := range f.order {
		if k&0xff == 0 {
			if err := context.Cause(ctx); err != nil {
				return err
			}
		}
		columns := f.reach(k)
		for e := f.m.start[v]; e < f.m.start[v+1]; e++ {
			if i := f.place[f.m.at[e]]; int(i) <= k {
				x[i] = f.m.value[e]
			}
		}
		rest := x[k]
		x[k] = 0
		for _, i := range columns {
			from, to := f.start[i], next[i]
			q := x[i] / f.value[from]
			x[i] = 0
			rows, values := f.row[from+1:to], f.value[from+1:to]
			for e, r := range rows {
				x[r] -= values[e] * q
			}
			rest -= q * q
			f.row[to], f.value[to] = int32(k), q
			next[i]++
		}
		at := next[k]
		f.row[at], f.value[at] = int32(k), math.Sqrt(rest)
		next[k]++
	}
	return nil
}

// solve substitutes the right-hand side into the factor and its transpose.
func (f *factored) solve() []float64 {
	n := len(f.order)
	x := make([]float64, n)
	for i, v := range f.order {
		x[i] = f.m.right[v]
	}
	for i := range n {
		from, to := f.start[i], f.start[i+1]
		x[i] /= f.value[from]
		for e := from + 1; e < to; e++ {
			x[f.row[e]] -= f.value[e] * x[i]
		}
	}
	for i := n - 1; i >= 0; i-- {
		from, to := f.start[i], f.start[i+1]
		for e := from + 1; e < to; e++ {
			x[i] -= f.value[e] * x[f.row[e]]
		}
		x[i] /= f.value[from]
	}
	out := make([]float64, n)
	for i, v := range f.order {
		out[v] = x[i]
	}
	return out
}
