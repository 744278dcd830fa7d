package surface

import (
	"context"

	"comfygo/engine/tensor"
	"comfygo/internal/geometry"
)

// corners are the corners of a cell (z, y, x), edges its edges by their corners.
var (
	corners = [8][3]int{{0, 0, 0}, {1, 0, 0}, {0, 1, 0}, {1, 1, 0}, {0, 0, 1}, {1, 0, 1}, {0, 1, 1}, {1, 1, 1}}
	edges   = [12][2]int{{0, 1}, {0, 2}, {0, 4}, {1, 3}, {1, 5}, {2, 3}, {2, 6}, {3, 7}, {4, 5}, {4, 6}, {5, 7}, {6, 7}}
)

// cell is a cell that the surface crosses.
type cell struct {
	z, y, x int32
	first   uint8      // first edge that the surface crosses
	uphill  [3]float32 // from the corners outside to those inside, z, y, x
}

// Nets makes a surface net (Gibson 1998): a vertex in each cell of the volume, padded with zeros before it, that the surface
// crosses, at the mean of the crossings of its edges; squares of two triangles between four such cells. Upstream visits no
// more cells than the volume has, so that a surface at its far sides stays open.
func Nets(ctx context.Context, grid *tensor.Tensor, threshold float64, reserve Reserve) (geometry.Item, error) {
	v, err := newVolume(grid, threshold, reserve)
	if err != nil {
		return geometry.Item{}, err
	}
	cells, err := v.crossed(ctx)
	if err != nil {
		return geometry.Item{}, err
	}
	if err := reserve("the cells of a surface", 4*int64(len(v.data))); err != nil {
		return geometry.Item{}, err
	}
	vertexOf := make([]int32, len(v.data)) // one more than the vertex of a cell
	order := ranks(cells)
	for i, c := range cells {
		vertexOf[(int(c.z)*v.h+int(c.y))*v.w+int(c.x)] = order[i] + 1
	}
	var faces int64
	if err := v.squares(ctx, cells, vertexOf, func([4]int32, bool) { faces += 2 }); err != nil {
		return geometry.Item{}, err
	}
	it, err := v.allocate(int64(len(cells)), faces)
	if err != nil {
		return geometry.Item{}, err
	}
	for i, c := range cells {
		v.vertex(it.Vertices[3*order[i]:], c)
	}
	err = v.squares(ctx, cells, vertexOf, func(q [4]int32, forward bool) {
		if forward {
			it.Faces = append(it.Faces, q[0], q[1], q[3], q[0], q[3], q[2])
			return
		}
		it.Faces = append(it.Faces, q[0], q[3], q[1], q[0], q[2], q[3])
	})
	return it, err
}

// crossed lists the cells that the surface crosses, in the volume's order.
func (v *volume) crossed(ctx context.Context) ([]cell, error) {
	var cells []cell
	for z := range v.d {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		before := len(cells)
		for y := range v.h {
			for x := range v.w {
				if c, ok := v.cell(z, y, x); ok {
					cells = append(cells, c)
				}
			}
		}
		const size = 32
		if err := v.reserve("the cells of a surface", size*int64(len(cells)-before)); err != nil {
			return nil, err
		}
	}
	return cells, nil
}

func (v *volume) cell(z, y, x int) (c cell, crossed bool) {
	var inside, outside [3]float32
	var mask uint8
	count := float32(0)
	for k, o := range corners {
		sum := &outside
		if v.at(z+o[0], y+o[1], x+o[2]) > v.threshold {
			mask |= 1 << k
			count++
			sum = &inside
		}
		for a := range sum {
			sum[a] += float32(o[a])
		}
	}
	if mask == 0 || mask == 0xff {
		return c, false
	}
	c = cell{z: int32(z), y: int32(y), x: int32(x)}
	for a := range c.uphill {
		c.uphill[a] = inside[a]/count - outside[a]/(float32(len(corners))-count)
	}
	for i, e := range edges {
		if mask>>e[0]&1 != mask>>e[1]&1 {
			c.first = uint8(i)
			break
		}
	}
	return c, true
}

// ranks are the numbers of the cells' vertices: upstream counts by the first crossed edge, then by cell.
func ranks(cells []cell) []int32 {
	var next [len(edges) + 1]int32
	for _, c := range cells {
		next[c.first+1]++
	}
	for i := 1; i < len(next); i++ {
		next[i] += next[i-1]
	}
	out := make([]int32, len(cells))
	for i, c := range cells {
		out[i] = next[c.first]
		next[c.first]++
	}
	return out
}

// vertex computes the mean of the crossings of a cell's edges.
func (v *volume) vertex(to []float32, c cell) {
	var sum [3]float32
	n := float32(0)
	z, y, x := int(c.z), int(c.y), int(c.x)
	for _, e := range edges {
		p, q := corners[e[0]], corners[e[1]]
		a, b := v.at(z+p[0], y+p[1], x+p[2]), v.at(z+q[0], y+q[1], x+q[2])
		if (a > v.threshold) == (b > v.threshold) {
			continue
		}
		t := (v.threshold - a) / (b - a)
		for i := range sum {
			sum[i] += float32(p[i]) + t*float32(q[i]-p[i])
		}
		n++
	}
	v.place(to, sum[0]/n+float32(z), sum[1]/n+float32(y), sum[2]/n+float32(x))
}

// squares visits the squares between four cells: first those in the planes of z and y, then of z and x, then of y and x.
func (v *volume) squares(ctx context.Context, cells []cell, vertexOf []int32, visit func(q [4]int32, forward bool)) error {
	step := [3]int{v.h * v.w, v.w, 1}
	size := [3]int{v.d, v.h, v.w}
	for _, plane := range [3]struct {
		i, j, normal int
		sign         float32
	}{{0, 1, 2, 1}, {0, 2, 1, -1}, {1, 2, 0, 1}} {
		for n, c := range cells {
			if n&0xffff == 0 {
				if err := context.Cause(ctx); err != nil {
					return err
				}
			}
			at := [3]int{int(c.z), int(c.y), int(c.x)}
			if at[plane.i]+1 == size[plane.i] || at[plane.j]+1 == size[plane.j] {
				continue
			}
			own := at[0]*step[0] + at[1]*step[1] + at[2]
			q := [4]int32{vertexOf[own] - 1, vertexOf[own+step[plane.i]] - 1, vertexOf[own+step[plane.j]] - 1, vertexOf[own+step[plane.i]+step[plane.j]] - 1}
			if q[1] < 0 || q[2] < 0 || q[3] < 0 {
				continue
			}
			visit(q, plane.sign*c.uphill[plane.normal] > 0)
		}
	}
	return nil
}
