package remesh

import (
	"comfygo/internal/geometry"
	"comfygo/internal/imaging/codec"
)

// edges are the edges of a cell by their corners: four along x, y and z each.
var edges = [12][2]int{{0, 1}, {2, 3}, {4, 5}, {6, 7}, {0, 2}, {1, 3}, {4, 6}, {5, 7}, {0, 4}, {1, 5}, {2, 6}, {3, 7}}

// shared are, for the first edge along each axis, the four cells around it, in the order of a square that faces along the axis, and the
// number of the edge in each.
var shared = [3]struct {
	own   int
	cells [4][3]int32
	edge  [4]int
}{
	{0, [4][3]int32{{0, 0, 0}, {0, -1, 0}, {0, -1, -1}, {0, 0, -1}}, [4]int{0, 1, 3, 2}},
	{4, [4][3]int32{{0, 0, 0}, {0, 0, -1}, {-1, 0, -1}, {-1, 0, 0}}, [4]int{4, 6, 7, 5}},
	{8, [4][3]int32{{0, 0, 0}, {-1, 0, 0}, {-1, -1, 0}, {0, -1, 0}}, [4]int{8, 9, 11, 10}},
}

// contour makes a vertex in each cell and a square across each edge of the grid that the surface crosses.
func (r *remesher) contour() (geometry.Item, error) {
	if err := r.Reserve("the vertices of a mesh", 48*int64(len(r.cells))); err != nil {
		return geometry.Item{}, err
	}
	out := geometry.Item{Vertices: make([]float32, 3*len(r.cells))}
	crossed := make([]uint8, len(r.cells)) // bit k: the first edge along axis k; bit k+4: its first corner is outside
	codec.Parallel(len(r.cells), 1<<12, func(from, to int) {
		for i := from; i < to; i++ {
			if i&0xfff == 0 && r.ctx.Err() != nil {
				return
			}
			d := r.field.around(r.cells[i])
			r.place(r.cells[i], d).Put(out.Vertices, int32(i))
			for k, s := range shared {
				e := edges[s.own]
				if d[e[0]]*d[e[1]] < 0 {
					crossed[i] |= 1 << k
					if d[e[0]] > 0 {
						crossed[i] |= 16 << k
					}
				}
			}
		}
	})
	for axis, s := range shared {
		var squares []square
		err := geometry.Each(r.ctx, len(r.cells), func(i int) {
			c := r.cells[i]
			if crossed[i]>>axis&1 == 0 {
				return
			}
			q := square{flip: crossed[i]>>axis&16 != 0}
			ok := true
			for k, o := range s.cells {
				q.v[k] = r.field.cell([3]int32{c[0] + o[0], c[1] + o[1], c[2] + o[2]})
				ok = ok && q.v[k] >= 0
			}
			if ok {
				squares = append(squares, q)
			}
		})
		if err != nil {
			return out, err
		}
		out.Faces = split(out.Faces, squares)
	}
	return out, nil
}

// square has four vertices around an edge; flip turns it.
type square struct {
	v    [4]int32
	flip bool
}

// split adds the triangles of squares: all first ones, then all second ones.
func split(faces []int32, squares []square) []int32 {
	for _, t := range [2][2]int{{1, 2}, {2, 3}} {
		for _, q := range squares {
			a, b := q.v[t[0]], q.v[t[1]]
			if q.flip {
				a, b = b, a
			}
			faces = append(faces, q.v[0], a, b)
		}
	}
	return faces
}

// place is where the vertex of a cell lies: at the mean of the edges' crossings, or, for sharp edges, where the planes of the surface at
// these meet.
func (r *remesher) place(c [3]int32, d [8]float32) geometry.Vec {
	var points [12]geometry.Vec
	var sum geometry.Vec
	n := 0
	for _, e := range edges {
		a, b := d[e[0]], d[e[1]]
		if !(a*b < 0) {
			continue
		}
		points[n] = r.crossing(c, e, min(max(a/(a-b+1e-20), 0), 1))
		sum = sum.Add(points[n])
		n++
	}
	if n == 0 {
		return r.center(c, r.Resolution)
	}
	mean := geometry.Vec{sum[0] / float32(n), sum[1] / float32(n), sum[2] / float32(n)}
	if !r.Sharp {
		return mean
	}
	return r.sharp(c, points[:n], mean)
}

// crossing is the point at a part of an edge of a cell.
func (r *remesher) crossing(c [3]int32, e [2]int, t float32) geometry.Vec {
	return r.octant(c, e[0]).Lerp(r.octant(c, e[1]), t)
}

// octant is the position of corner k of a cell.
func (r *remesher) octant(c [3]int32, k int) geometry.Vec {
	o := octants[k]
	return r.corner([3]int32{c[0] + o[0], c[1] + o[1], c[2] + o[2]})
}

// regularization pulls the solution toward the mean of the crossings.
const regularization = 1e-2

// sharp minimizes the distances from the planes at points, within the cell.
func (r *remesher) sharp(c [3]int32, points []geometry.Vec, mean geometry.Vec) geometry.Vec {
	var a [3][4]float32 // normal equations with the right-hand side
	for _, p := range points {
		_, _, face := r.closest(p)
		n := geometry.At(r.normals, face)
		d := n.Dot(p)
		for i := range 3 {
			for j := range 3 {
				a[i][j] += n[i] * n[j]
			}
			a[i][3] += d * n[i]
		}
	}
	for i := range 3 {
		a[i][i] += regularization
		a[i][3] += regularization * mean[i]
	}
	x, _ := geometry.Solve(a)
	lo, hi := r.octant(c, 0), r.octant(c, 7)
	for k := range x {
		if !(x[k] >= lo[k] && x[k] <= hi[k]) {
			return mean
		}
	}
	return x
}

func abs(x float32) float32 { return max(x, -x) }
