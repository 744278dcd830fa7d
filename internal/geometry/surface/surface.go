// Package surface makes meshes of the cells of dense volumes, as upstream's VoxelToMesh classes do.
//
// Volumes are [D,H,W]. The mesh is scaled so that the longest axis spans -1 to 1, with x along W, y along H and z along D.
package surface

import (
	"context"
	"fmt"
	"math"

	"comfygo/engine/tensor"
	"comfygo/internal/geometry"
)

// Reserve reserves memory for an allocation, or fails.
type Reserve func(what string, bytes int64) error

// volume is a checked volume with its threshold.
type volume struct {
	d, h, w   int
	data      []float32
	threshold float32
	reserve   Reserve
}

func newVolume(v *tensor.Tensor, threshold float64, reserve Reserve) (*volume, error) {
	if len(v.Shape) != 3 || len(v.Data) == 0 {
		return nil, fmt.Errorf("making a mesh: the volume has shape %v, want [D,H,W]", v.Shape)
	}
	for i, x := range v.Data {
		if x != x || math.IsInf(float64(x), 0) {
			return nil, fmt.Errorf("making a mesh: cell %d of the volume is %v, want a finite number", i, x)
		}
	}
	return &volume{v.Shape[0], v.Shape[1], v.Shape[2], v.Data, float32(threshold), reserve}, nil
}

// solid reports whether a cell lies inside; cells beyond the volume do not.
func (v *volume) solid(z, y, x int) bool {
	if z < 0 || y < 0 || x < 0 || z >= v.d || y >= v.h || x >= v.w {
		return false
	}
	return v.data[(z*v.h+y)*v.w+x] > v.threshold
}

// at is the value of the volume padded by one cell of zeros on all sides.
func (v *volume) at(z, y, x int) float32 {
	z, y, x = z-1, y-1, x-1
	if z < 0 || y < 0 || x < 0 || z >= v.d || y >= v.h || x >= v.w {
		return 0
	}
	return v.data[(z*v.h+y)*v.w+x]
}

// place turns a position (z, y, x) in cells into x, y and z of the mesh.
func (v *volume) place(to []float32, z, y, x float32) {
	half := float32(max(v.d, v.h, v.w)) / 2
	to[0], to[1], to[2] = (x-half)/half, (y-half)/half, (z-half)/half
}

// allocate returns an item of the given size.
func (v *volume) allocate(vertices, faces int64) (geometry.Item, error) {
	if vertices > math.MaxInt32 || faces > math.MaxInt32 {
		return geometry.Item{}, fmt.Errorf("making a mesh: it would have %d vertices and %d faces, at most %d are possible; use a smaller volume", vertices, faces, math.MaxInt32)
	}
	if err := v.reserve(fmt.Sprintf("a mesh of %d vertices and %d faces", vertices, faces), 12*(vertices+faces)); err != nil {
		return geometry.Item{}, err
	}
	return geometry.Item{Vertices: make([]float32, 3*vertices), Faces: make([]int32, 0, 3*faces)}, nil
}

// sides are the neighbors of a cell (z, y, x) with the corners of the face between.
var sides = [6]struct {
	to      [3]int
	corners [4][3]int
}{
	{[3]int{0, 0, 1}, [4][3]int{{0, 0, 1}, {0, 1, 1}, {1, 1, 1}, {1, 0, 1}}},
	{[3]int{0, 0, -1}, [4][3]int{{0, 0, 0}, {1, 0, 0}, {1, 1, 0}, {0, 1, 0}}},
	{[3]int{0, 1, 0}, [4][3]int{{0, 1, 0}, {1, 1, 0}, {1, 1, 1}, {0, 1, 1}}},
	{[3]int{0, -1, 0}, [4][3]int{{0, 0, 0}, {0, 0, 1}, {1, 0, 1}, {1, 0, 0}}},
	{[3]int{1, 0, 0}, [4][3]int{{1, 0, 1}, {1, 1, 1}, {1, 1, 0}, {1, 0, 0}}},
	{[3]int{-1, 0, 0}, [4][3]int{{0, 1, 0}, {0, 1, 1}, {0, 0, 1}, {0, 0, 0}}},
}

// Blocks makes a square of two triangles, with vertices of its own, for each face between a cell above the threshold and
// one that is not. Without such cells the result is one degenerate triangle.
func Blocks(ctx context.Context, grid *tensor.Tensor, threshold float64, reserve Reserve) (geometry.Item, error) {
	v, err := newVolume(grid, threshold, reserve)
	if err != nil {
		return geometry.Item{}, err
	}
	var count [6]int64
	if err := v.exposed(ctx, func(side, _, _, _ int) { count[side]++ }); err != nil {
		return geometry.Item{}, err
	}
	total := int64(0)
	for _, n := range count {
		total += n
	}
	if total == 0 {
		it := geometry.Item{Vertices: make([]float32, 3), Faces: make([]int32, 3)}
		v.place(it.Vertices, 0, 0, 0)
		return it, nil
	}
	it, err := v.allocate(4*total, 2*total)
	if err != nil {
		return geometry.Item{}, err
	}
	var first [6]int64 // quads of earlier sides
	for side := 1; side < len(first); side++ {
		first[side] = first[side-1] + count[side-1]
	}
	next := first
	err = v.exposed(ctx, func(side, z, y, x int) {
		at := 12 * next[side]
		for _, c := range sides[side].corners {
			v.place(it.Vertices[at:], float32(z+c[0]), float32(y+c[1]), float32(x+c[2]))
			at += 3
		}
		next[side]++
	})
	for side, n := range count {
		for _, corner := range [2][3]int64{{0, 1, 2}, {0, 2, 3}} {
			for q := first[side]; q < first[side]+n; q++ {
				it.Faces = append(it.Faces, int32(4*q+corner[0]), int32(4*q+corner[1]), int32(4*q+corner[2]))
			}
		}
	}
	return it, err
}

// exposed visits the faces of solid cells whose neighbor is not solid.
func (v *volume) exposed(ctx context.Context, visit func(side, z, y, x int)) error {
	for z := range v.d {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		for y := range v.h {
			for x := range v.w {
				if !v.solid(z, y, x) {
					continue
				}
				for side := range sides {
					if to := sides[side].to; !v.solid(z+to[0], y+to[1], x+to[2]) {
						visit(side, z, y, x)
					}
				}
			}
		}
	}
	return nil
}
