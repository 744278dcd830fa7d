// Package weld merges vertices at one place and fills holes, as upstream does.
package weld

import (
	"context"
	"math"

	"comfygo/internal/geometry"
)

// Relative returns the tolerance that is a fraction of the diagonal of the bounds.
func Relative(it *geometry.Item, fraction float64) float64 {
	lo, hi := it.Bounds()
	d := geometry.Vec(hi).Sub(geometry.Vec(lo)).Len() * float32(fraction)
	return max(float64(d), 1e-12)
}

// Vertices merges vertices in one cell of a grid of the given size and averages their positions and colors; the vertices are
// sorted by their cells. A size of 0 or less, or no two vertices in one cell, returns the item itself. merged is the number of
// vertices less.
func Vertices(ctx context.Context, it *geometry.Item, size float64) (out geometry.Item, merged int, err error) {
	n := it.VertexCount()
	if !(size > 0) || n == 0 {
		return *it, 0, nil
	}
	lo, hi := it.Bounds()
	scale := float32(1 / size)
	grid := geometry.NewGrid(lo, scale)
	var extent [3]int64
	for k := range extent {
		extent[k] = int64(math.RoundToEven(float64((hi[k]-lo[k])*scale))) + 2
	}
	key := func(i int) int64 {
		c := grid.Cell(it.Vertices, i)
		return (c[0]*extent[1]+c[1])*extent[2] + c[2]
	}
	of, first := geometry.Group(n, func(i int) [3]int64 { return [3]int64{key(i)} })
	if len(first) == n {
		return *it, 0, nil
	}
	if err := context.Cause(ctx); err != nil {
		return out, 0, err
	}
	rank, err := ranked(ctx, first, key)
	if err != nil {
		return out, 0, err
	}
	for i, g := range of {
		of[i] = rank[g]
	}
	return Averaged(it, of, len(first)), n - len(first), nil
}

// ranked returns the places of the groups in the order of their keys.
func ranked(ctx context.Context, first []int32, key func(i int) int64) ([]int32, error) {
	const sign = 1 << 63 // negative keys come first
	order := make([]geometry.Half, len(first))
	for g, i := range first {
		order[g] = geometry.Half{Key: uint64(key(int(i))) ^ sign, Half: int32(g)}
	}
	err := geometry.SortHalves(ctx, order)
	rank := make([]int32, len(first))
	for place, h := range order {
		rank[h.Half] = int32(place)
	}
	return rank, err
}

// Averaged replaces vertices by count groups: of[i] is the group of vertex i. Positions and colors are averaged, other
// attributes dropped.
func Averaged(it *geometry.Item, of []int32, count int) geometry.Item {
	members := make([]float32, count)
	for _, g := range of {
		members[g]++
	}
	mean := func(values []float32, width int) []float32 {
		if values == nil {
			return nil
		}
		out := make([]float32, width*count)
		for i, g := range of {
			for c := range width {
				out[width*int(g)+c] += values[width*i+c]
			}
		}
		for g, m := range members {
			for c := range width {
				out[width*g+c] /= max(m, 1)
			}
		}
		return out
	}
	out := geometry.Item{Vertices: mean(it.Vertices, 3), Colors: mean(it.Colors, it.Channels), Channels: it.Channels, Faces: make([]int32, len(it.Faces))}
	for i, f := range it.Faces {
		out.Faces[i] = of[f]
	}
	return out
}
