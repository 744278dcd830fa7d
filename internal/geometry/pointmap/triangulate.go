package pointmap

import (
	"comfygo/engine/tensor"
	"comfygo/internal/geometry"
)

// Grid is a grid of points that Triangulate makes a mesh of.
type Grid struct {
	// Points are [H,W,3]; those that are not finite are left out.
	Points *tensor.Tensor
	// Mask, when set, is 0 for points that are left out, [H,W].
	Mask *tensor.Tensor
	// Depth [H,W] shows where surfaces end; nil for the points' z.
	Depth *tensor.Tensor
	// Step takes every Step-th row and column.
	Step int
	// Edge is the part of its depth by which the depths around a point may differ; it is left out where they differ more. 0 keeps all.
	Edge float64
}

// Triangulate makes a mesh of squares of neighbouring points, two triangles each, with texture coordinates of the image. Upstream:
// ldm/moge/geometry.py triangulate_grid_mesh.
func Triangulate(g Grid) geometry.Item {
	h, w := g.Points.Dim(0), g.Points.Dim(1)
	kept := make([]bool, h*w)
	for i := range kept {
		kept[i] = finite3(g.Points.Data[3*i:][:3]) && (g.Mask == nil || g.Mask.Data[i] != 0)
	}
	if g.Edge > 0 {
		depth := func(i int) float32 {
			if !finite3(g.Points.Data[3*i:][:3]) {
				return 0
			}
			if g.Depth != nil {
				return g.Depth.Data[i]
			}
			return g.Points.Data[3*i+2]
		}
		for i, edge := range edges(h, w, depth, float32(g.Edge)) {
			kept[i] = kept[i] && !edge
		}
	}
	step := max(g.Step, 1)
	rows, columns := (h+step-1)/step, (w+step-1)/step
	var it geometry.Item
	numbers := make([]int32, rows*columns)
	for y := range rows {
		for x := range columns {
			from := y*step*w + x*step
			numbers[y*columns+x] = -1
			if !kept[from] {
				continue
			}
			numbers[y*columns+x] = int32(len(it.Vertices) / 3)
			it.Vertices = append(it.Vertices, g.Points.Data[3*from:][:3]...)
			it.UVs = append(it.UVs, float32(x)/float32(max(columns-1, 1)), float32(y)/float32(max(rows-1, 1)))
		}
	}
	var second []int32
	for y := range rows - 1 {
		for x := range columns - 1 {
			a, b := numbers[y*columns+x], numbers[y*columns+x+1]
			c, d := numbers[(y+1)*columns+x+1], numbers[(y+1)*columns+x]
			if a >= 0 && b >= 0 && c >= 0 && d >= 0 {
				it.Faces, second = append(it.Faces, a, b, c), append(second, a, c, d)
			}
		}
	}
	it.Faces = append(it.Faces, second...)
	return it
}

// edges reports for each pixel whether the depths of its neighbours differ by more than a part of its own. Upstream: geometry.py depth_map_edge.
func edges(h, w int, depth func(i int) float32, part float32) []bool {
	const least = 1e-6
	out := make([]bool, h*w)
	for y := range h {
		for x := range w {
			low, high := depth(y*w+x), depth(y*w+x)
			for j := max(y-1, 0); j <= min(y+1, h-1); j++ {
				for i := max(x-1, 0); i <= min(x+1, w-1); i++ {
					d := depth(j*w + i)
					low, high = min(low, d), max(high, d)
				}
			}
			out[y*w+x] = (high-low)/max(depth(y*w+x), least) > part
		}
	}
	return out
}
