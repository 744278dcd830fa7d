// Package bake carries colors and details from voxels and dense meshes to vertices and textures, as upstream does.
package bake

import (
	"context"
	"math"

	"comfygo/engine/tensor"
	"comfygo/internal/geometry"
	"comfygo/internal/geometry/nearest"
	"comfygo/internal/imaging/codec"
)

// origin is the smallest coordinate of the cube that voxels fill.
const origin = -0.5

// Cells are cells with attributes in 0…1.
type Cells struct {
	At         []int32        // [M,3]
	Colors     *tensor.Tensor // [M,C]
	Resolution int
}

// Of returns the cells of a batch item; all of voxels that are not batched.
func Of(ctx context.Context, v *geometry.Voxels, item int) (Cells, error) {
	if !v.Batched {
		return Cells{v.Cells, v.Colors, v.Resolution}, nil
	}
	out := Cells{Colors: &tensor.Tensor{Shape: []int{0, v.Colors.Shape[1]}}, Resolution: v.Resolution}
	width := v.Colors.Shape[1]
	err := geometry.Each(ctx, v.Count(), func(i int) {
		if c := v.Cells[4*i : 4*i+4]; int(c[0]) == item {
			out.At = append(out.At, c[1:]...)
			out.Colors.Data = append(out.Colors.Data, v.Colors.Data[i*width:(i+1)*width]...)
		}
	})
	out.Colors.Shape[0] = len(out.At) / 3
	return out, err
}

// positions are the cells' positions, offset by a part of a cell.
func (c Cells) positions(offset float32) []float32 {
	size := float32(1 / float64(c.Resolution))
	out := make([]float32, len(c.At))
	for i, v := range c.At {
		out[i] = (float32(v)+offset)*size + origin
	}
	return out
}

// gamma turns sRGB into linear colors, about.
const gamma = 2.2

// Paint returns linear vertex colors [N,3] of the nearest cells.
func Paint(ctx context.Context, it *geometry.Item, c Cells) ([]float32, error) {
	tree, err := nearest.New(ctx, c.positions(0))
	if err != nil {
		return nil, err
	}
	out := make([]float32, len(it.Vertices))
	width := c.Colors.Shape[1]
	codec.Parallel(it.VertexCount(), 1<<10, func(from, to int) {
		for i := from; i < to; i++ {
			if i&0xfff == 0 && ctx.Err() != nil {
				return
			}
			v := it.Vertices[3*i : 3*i+3]
			at, _ := tree.Find(v[0], v[1], v[2])
			for k := range 3 {
				out[3*i+k] = float32(math.Pow(float64(min(max(c.Colors.Data[int(at)*width+k], 0), 1)), gamma))
			}
		}
	})
	return out, context.Cause(ctx)
}
