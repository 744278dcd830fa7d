package splat

import (
	"context"
	"math"
	"slices"

	"comfygo/internal/geometry"
)

// netEdges are the edges of a cube as pairs of corners; bit 0 of a corner is x, bit 1 y, bit 2 z.
var netEdges = [12][2]int{{0, 1}, {0, 2}, {0, 4}, {1, 3}, {1, 5}, {2, 3}, {2, 6}, {3, 7}, {4, 5}, {4, 6}, {5, 7}, {6, 7}}

// surface makes a mesh where the density passes a level (Surface Nets): a vertex in each cube of cells that are on both
// sides, in the middle of where its edges pass, and a quad around each edge that passes. numbers is as large as the grid.
func (d *density) surface(ctx context.Context, level float64, numbers []int32) (geometry.Item, error) {
	var s geometry.Item
	nx, ny, nz := d.size[0], d.size[1], d.size[2]
	if nx < 2 || ny < 2 || nz < 2 {
		return s, nil
	}
	iso := float32(level)
	stride := [3]int{ny * nz, nz, 1}
	var corner [8]int
	for c := range corner {
		corner[c] = c&1*stride[0] + c>>1&1*stride[1] + c>>2&1*stride[2]
	}
	for x := range nx {
		if err := context.Cause(ctx); err != nil {
			return s, err
		}
		for y := range ny {
			for z := range nz {
				at := x*stride[0] + y*stride[1] + z
				numbers[at] = -1
				if x == nx-1 || y == ny-1 || z == nz-1 {
					continue
				}
				inside := 0
				for c, o := range corner {
					if d.values[at+o] >= iso {
						inside |= 1 << c
					}
				}
				if inside == 0 || inside == 255 {
					continue
				}
				numbers[at] = int32(len(s.Vertices) / 3) //nolint:gosec // the cells have 31 bits
				local := d.crossing(at, &corner, inside, iso)
				for a, cell := range [3]int{x, y, z} {
					s.Vertices = append(s.Vertices, d.origin[a]+float32((float32(cell)+local[a])*d.cell))
				}
			}
		}
	}
	for axis := range 3 {
		if err := d.quads(ctx, axis, stride, iso, numbers, &s); err != nil {
			return s, err
		}
	}
	return s, nil
}

// crossing returns the mean of where the level is passed on the edges of a cube, in 0…1.
func (d *density) crossing(at int, corner *[8]int, inside int, iso float32) (mean [3]float32) {
	n := float32(0)
	for _, e := range netEdges {
		if inside>>e[0]&1 == inside>>e[1]&1 {
			continue
		}
		v0, v1 := d.values[at+corner[e[0]]], d.values[at+corner[e[1]]]
		t := float32(0.5)
		if diff := v1 - v0; math.Abs(float64(diff)) > 1e-12 {
			t = min(max((iso-v0)/diff, 0), 1)
		}
		for a := range 3 {
			from, to := float32(e[0]>>a&1), float32(e[1]>>a&1)
			if t < 0.5 {
				mean[a] += from + t*(to-from)
			} else {
				mean[a] += to - (to-from)*(1-t)
			}
		}
		n++
	}
	for a := range mean {
		mean[a] /= n
	}
	return mean
}

// quads adds two triangles around each edge along an axis that passes the level: first the one half of all, then the other.
func (d *density) quads(ctx context.Context, axis int, stride [3]int, iso float32, numbers []int32, s *geometry.Item) error {
	u, v := stride[(axis+1)%3], stride[(axis+2)%3]
	var lo, hi [3]int
	for a := range 3 {
		if hi[a] = d.size[a] - 1; a != axis {
			lo[a] = 1
		}
	}
	var second []int32
	for x := lo[0]; x < hi[0]; x++ {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		for y := lo[1]; y < hi[1]; y++ {
			for z := lo[2]; z < hi[2]; z++ {
				at := x*stride[0] + y*stride[1] + z
				in := d.values[at] >= iso
				if in == (d.values[at+stride[axis]] >= iso) {
					continue
				}
				a, b, e, c := numbers[at-u-v], numbers[at-v], numbers[at], numbers[at-u]
				if a < 0 || b < 0 || c < 0 || e < 0 {
					continue
				}
				if !in {
					b, c = c, b
				}
				s.Faces = append(s.Faces, a, b, e)
				second = append(second, a, e, c)
			}
		}
	}
	s.Faces = append(s.Faces, second...)
	return nil
}

// cleaned drops components of few vertices, and shells that lie within the largest one and are turned inside out: the
// inner side of the wall that a surface of Gaussians is.
func cleaned(ctx context.Context, s geometry.Item, least int) (geometry.Item, error) {
	label, count, err := components(ctx, s.VertexCount(), s.Faces)
	if err != nil {
		return s, err
	}
	vertices, faces := make([]int, count), make([]int, count)
	volume := make([]float64, count)
	lo, hi := make([][3]float32, count), make([][3]float32, count)
	for i, l := range label {
		p := [3]float32(s.Vertices[3*i : 3*i+3])
		if vertices[l] == 0 {
			lo[l], hi[l] = p, p
		}
		vertices[l]++
		for a, v := range p {
			lo[l][a], hi[l][a] = min(lo[l][a], v), max(hi[l][a], v)
		}
	}
	at := func(i int32) vec {
		p := s.Vertices[3*i : 3*i+3]
		return vec{float64(p[0]), float64(p[1]), float64(p[2])}
	}
	for i := 0; i < len(s.Faces); i += 3 {
		l := label[s.Faces[i]]
		faces[l]++
		volume[l] += at(s.Faces[i]).dot(at(s.Faces[i+1]).cross(at(s.Faces[i+2])))
	}
	keep := make([]bool, count)
	largest, kept := -1, 0
	for l := range keep {
		if keep[l] = vertices[l] >= least; !keep[l] {
			continue
		}
		if kept++; largest < 0 || faces[l] > faces[largest] {
			largest = l
		}
	}
	if kept > 1 {
		var extent float32
		for a := range 3 {
			extent = max(extent, hi[largest][a]-lo[largest][a])
		}
		tolerance := 1e-4 * extent
		for l := range keep {
			enclosed := true
			for a := range 3 {
				enclosed = enclosed && lo[l][a] >= lo[largest][a]-tolerance && hi[l][a] <= hi[largest][a]+tolerance
			}
			if l != largest && enclosed && sign(volume[l]) != sign(volume[largest]) {
				keep[l] = false
			}
		}
	}
	return selected(ctx, s, func(face int) bool { return keep[label[s.Faces[3*face]]] })
}

func sign(v float64) int {
	switch {
	case v > 0:
		return 1
	case v < 0:
		return -1
	}
	return 0
}

// components numbers the connected parts of a mesh by their first vertices.
func components(ctx context.Context, n int, faces []int32) (label []int32, count int, err error) {
	sets := geometry.NewSets(n)
	err = geometry.Each(ctx, len(faces)/3, func(f int) {
		sets.Join(faces[3*f], faces[3*f+1])
		sets.Join(faces[3*f+1], faces[3*f+2])
	})
	if err != nil {
		return nil, 0, err
	}
	label = make([]int32, n)
	err = geometry.Each(ctx, n, func(i int) {
		if r := sets.Find(int32(i)); int(r) == i { //nolint:gosec // an index of vertices
			label[i] = int32(count) //nolint:gosec // an index of vertices
			count++
		} else {
			label[i] = label[r] // roots come first
		}
	})
	return label, count, err
}

// selected keeps some faces and their vertices, in order.
func selected(ctx context.Context, s geometry.Item, keep func(face int) bool) (geometry.Item, error) {
	kept := geometry.Item{Vertices: s.Vertices}
	err := geometry.Each(ctx, s.FaceCount(), func(f int) {
		if keep(f) {
			kept.Faces = append(kept.Faces, s.Faces[3*f:3*f+3]...)
		}
	})
	if err != nil {
		return s, err
	}
	return geometry.Compact(ctx, kept)
}

// taubin smooths a mesh without shrinking it: steps towards the mean of the neighbors, and larger ones back.
func taubin(ctx context.Context, s *geometry.Item, steps int) error {
	if steps <= 0 {
		return nil
	}
	starts, neighbors, err := adjacency(ctx, s.VertexCount(), s.Faces)
	if err != nil {
		return err
	}
	next := make([]float32, len(s.Vertices))
	for range steps {
		for _, factor := range []float32{0.5, -0.53} {
			err := geometry.Each(ctx, len(starts)-1, func(i int) {
				around := neighbors[starts[i]:starts[i+1]]
				var sum [3]float32
				for _, k := range around {
					for a := range 3 {
						sum[a] += s.Vertices[3*int(k)+a]
					}
				}
				count := max(float32(len(around)), 1)
				for a := range 3 {
					v := s.Vertices[3*i+a]
					next[3*i+a] = v + factor*(sum[a]/count-v)
				}
			})
			if err != nil {
				return err
			}
			s.Vertices, next = next, s.Vertices
		}
	}
	return nil
}

// adjacency lists the neighbors of each vertex, each once and in order.
func adjacency(ctx context.Context, n int, faces []int32) (starts []int, neighbors []int32, err error) {
	pairs := make([]uint64, 0, 2*len(faces))
	for i := 0; i < len(faces); i += 3 {
		for k := range 3 {
			a, b := uint64(faces[i+k]), uint64(faces[i+(k+1)%3]) //nolint:gosec // indexes
			pairs = append(pairs, a<<32|b, b<<32|a)
		}
	}
	if err := geometry.Sort(ctx, pairs); err != nil {
		return nil, nil, err
	}
	pairs = slices.Compact(pairs)
	starts = make([]int, n+1)
	for _, p := range pairs {
		starts[p>>32+1]++
		neighbors = append(neighbors, int32(p&(1<<32-1))) //nolint:gosec // an index
	}
	for i := range n {
		starts[i+1] += starts[i]
	}
	return starts, neighbors, nil
}
