package unwrap

import (
	"context"
	"math"
)

// largeChart is the number of vertices above which upstream pins other vertices and solves sparsely.
const largeChart = 256

// row is an equation by its columns; a column may come several times.
type row struct {
	at [6]int32
	v  [6]float64
	n  int
}

func (r *row) add(at int32, v float64) {
	r.at[r.n], r.v[r.n] = at, v
	r.n++
}

// conformal flattens a chart by least squares: the angles of each face, which ABF++ would give from those in space, are kept as well as
// possible. Two vertices keep their projections. ok is false where the equations are too many to be solved.
func (c *chart) conformal(ctx context.Context) (uvs [][2]float32, ok bool, err error) {
	n := int32(len(c.points))
	rows := make([]row, 0, 2*len(c.faces)/3)
	for f := range len(c.faces) / 3 {
		a, b := c.equations(f, n)
		rows = append(rows, a, b)
	}
	a, b := c.pins()
	known := make([]float64, 2*n)
	fixed := make([]bool, 2*n)
	for _, p := range [2]int32{a, b} {
		known[p], known[p+n] = c.flat[p][0], c.flat[p][1]
		fixed[p], fixed[p+n] = true, true
	}
	m := newNormal(rows, known, fixed)
	if n <= largeChart { // upstream makes small systems a little more definite
		m.stabilize()
	}
	solved, ok, err := m.solve(ctx, func() ([]int32, error) { return c.unknowns(ctx, m) })
	if !ok || err != nil {
		return nil, false, err
	}
	x := known
	for i, column := range m.columns {
		x[column] = solved[i]
	}
	uvs = make([][2]float32, n)
	for i := range uvs {
		uvs[i] = [2]float32{float32(x[i]), float32(x[int32(i)+n])}
	}
	return uvs, true, nil
}

// unknowns returns the unknowns of the equations in the order of a nested dissection of the vertices.
func (c *chart) unknowns(ctx context.Context, m *normal) ([]int32, error) {
	order, err := c.dissect(ctx)
	if err != nil {
		return nil, err
	}
	n := int32(len(c.points))
	number := make([]int32, 2*n) // 1 + number of the unknown
	for i, column := range m.columns {
		number[column] = int32(i) + 1
	}
	out := make([]int32, 0, len(m.columns))
	for _, v := range order {
		for _, k := range [2]int32{number[v], number[v+n]} {
			if k > 0 {
				out = append(out, k-1)
			}
		}
	}
	return out, nil
}

// equations are the two equations of a face: the third corner follows from the first two by the face's angles. A face without angles
// gets the conformal equations of Lévy et al.
func (c *chart) equations(f int, n int32) (re, im row) {
	id := [3]int32{c.faces[3*f], c.faces[3*f+1], c.faces[3*f+2]}
	p0, p1, p2 := c.points[id[0]], c.points[id[1]], c.points[id[2]]
	e01, e12, e20 := sub(p1, p0), sub(p2, p1), sub(p0, p2)
	l01, l12, l20 := length(e01), length(e12), length(e20)
	angle := [3]float64{
		math.Acos(min(max(-dot(e20, e01)/(l20*l01), -1), 1)),
		math.Acos(min(max(-dot(e01, e12)/(l01*l12), -1), 1)),
		math.Acos(min(max(-dot(e12, e20)/(l12*l20), -1), 1)),
	}
	if !(angle[0] > 1e-12 && angle[1] > 1e-12 && angle[2] > 1e-12) {
		return c.plainEquations(id, n)
	}
	s := [3]float64{math.Sin(angle[0]), math.Sin(angle[1]), math.Sin(angle[2])}
	turn := 0 // so that the corner with the largest sine comes last
	switch {
	case s[1] > s[0] && s[1] > s[2]:
		turn = 2
	case s[0] > s[1] && s[0] > s[2]:
		turn = 1
	}
	at := func(k int) int { return (k + turn) % 3 }
	ratio := 1.0
	if s[at(2)] > 0 {
		ratio = s[at(1)] / max(s[at(2)], 1e-20)
	}
	cos, sin := math.Cos(angle[at(0)])*ratio, s[at(0)]*ratio
	i, j, k := id[at(0)], id[at(1)], id[at(2)]
	re.add(i, cos-1)
	re.add(i+n, -sin)
	re.add(j, -cos)
	re.add(j+n, sin)
	re.add(k, 1)
	im.add(i, sin)
	im.add(i+n, cos-1)
	im.add(j, -sin)
	im.add(j+n, -cos)
	im.add(k+n, 1)
	return re, im
}

func length(v [3]float64) float64 { return max(math.Sqrt(dot(v, v)), 1e-20) }

// plainEquations are those of a face with a corner of 0 degrees.
func (c *chart) plainEquations(id [3]int32, n int32) (re, im row) {
	p0, p1, p2 := c.points[id[0]], c.points[id[1]], c.points[id[2]]
	e01, e02 := sub(p1, p0), sub(p2, p0)
	l := length(e01)
	x := [3]float64{e01[0] / l, e01[1] / l, e01[2] / l}
	normal := cross(e01, e02)
	m := length(normal)
	y := cross([3]float64{normal[0] / m, normal[1] / m, normal[2] / m}, x)
	flat := [3][2]float64{{}, {l, 0}, {dot(e02, x), dot(e02, y)}}
	w := 1 / math.Sqrt(2*max(math.Abs(flat[1][0]*flat[2][1]-flat[1][1]*flat[2][0]), 1e-20))
	for k := range 3 {
		a, b := flat[(k+1)%3], flat[(k+2)%3]
		dx, dy := (a[0]-b[0])*w, (a[1]-b[1])*w
		re.add(id[k], dx)
		re.add(id[k]+n, -dy)
		im.add(id[k], dy)
		im.add(id[k]+n, dx)
	}
	return re, im
}

// pins chooses two vertices far apart: in small charts the farthest from the first one and the farthest from that, in large ones the
// extremes of the border along an axis.
func (c *chart) pins() (a, b int32) {
	if len(c.points) > largeChart {
		if a, b, ok := c.borderPins(); ok {
			return a, b
		}
	}
	a = c.farthest(0)
	b = c.farthest(a)
	if a == b {
		b = 0
		if a == 0 {
			b = 1
		}
	}
	return a, b
}

func (c *chart) farthest(from int32) int32 {
	best, most := int32(0), -1.0
	for i, p := range c.points {
		d := sub(p, c.points[from])
		if square := dot(d, d); square > most {
			best, most = int32(i), square
		}
	}
	return best
}

// borderPins are the ends of the border along the axis on which they are farthest apart; ok is false without a border of three sides.
func (c *chart) borderPins() (a, b int32, ok bool) {
	border := c.border()
	if len(border) == 0 {
		return 0, 0, false
	}
	var distance [3]float64
	var ends [3][2]int32
	for k := range 3 {
		lo, hi := border[0], border[0]
		for _, v := range border {
			if c.points[v][k] < c.points[lo][k] {
				lo = v
			}
			if c.points[v][k] > c.points[hi][k] {
				hi = v
			}
		}
		d := sub(c.points[lo], c.points[hi])
		distance[k], ends[k] = math.Sqrt(dot(d, d)), [2]int32{lo, hi}
	}
	axis := 2
	switch {
	case distance[0] > distance[1] && distance[0] > distance[2]:
		axis = 0
	case distance[1] > distance[2]:
		axis = 1
	}
	return ends[axis][0], ends[axis][1], true
}

// border lists the vertices of the border's loops in their order.
func (c *chart) border() []int32 {
	next := map[int32]int32{}
	var starts []int32
	for k, other := range c.beside {
		if other < 0 {
			v := c.faces[k]
			if _, there := next[v]; !there {
				starts = append(starts, v)
			}
			next[v] = c.faces[k-k%3+(k+1)%3]
		}
	}
	visited := map[int32]bool{}
	var out []int32
	for _, start := range starts {
		if visited[start] {
			continue
		}
		var loop []int32
		for v, ok := start, true; ok && !visited[v]; v, ok = next[v] {
			visited[v] = true
			loop = append(loop, v)
		}
		if len(loop) >= 3 {
			out = append(out, loop...)
		}
	}
	return out
}
