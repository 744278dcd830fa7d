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
	of, first, err := geometry.Group(ctx, n, func(i int) [3]int64 { return [3]int64{key(i)} })
	if err != nil {
		return out, 0, err
	}
	if len(first) == n {
		return *it, 0, nil
	}
	rank, err := ranked(ctx, first, key)
	if err != nil {
		return out, 0, err
	}
	if err := geometry.Each(ctx, n, func(i int) { of[i] = rank[of[i]] }); err != nil {
		return out, 0, err
	}
	out, err = Averaged(ctx, it, of, len(first))
	return out, n - len(first), err
}

// ranked returns the places of the groups in the order of their keys.
func ranked(ctx context.Context, first []int32, key func(i int) int64) ([]int32, error) {
	const sign = 1 << 63 // negative keys come first
	order := make([]geometry.Half, len(first))
	err := geometry.Each(ctx, len(first), func(g int) {
		order[g] = geometry.Half{Key: uint64(key(int(first[g]))) ^ sign, Half: int32(g)}
	})
	if err == nil {
		err = geometry.SortHalves(ctx, order)
	}
	rank := make([]int32, len(first))
	for place, h := range order {
		rank[h.Half] = int32(place)
	}
	return rank, err
}

// Averaged replaces vertices by count groups: of[i] is the group of vertex i. Positions and colors are averaged, other
// attributes dropped.
func Averaged(ctx context.Context, it *geometry.Item, of []int32, count int) (geometry.Item, error) {
	members := make([]float32, count)
	for _, g := range of {
		members[g]++
	}
	mean := func(values []float32, width int) ([]float32, error) {
		if values == nil {
			return nil, nil
		}
		out := make([]float32, width*count)
		err := geometry.Each(ctx, len(of), func(i int) {
			to := out[width*int(of[i]):]
			for c := range width {
				to[c] += values[width*i+c]
			}
		})
		if err != nil {
			return nil, err
		}
		return out, geometry.Each(ctx, count, func(g int) {
			m := max(members[g], 1)
			for c := range width {
				out[width*g+c] /= m
			}
		})
	}
	out := geometry.Item{Channels: it.Channels, Faces: make([]int32, len(it.Faces))}
	var err error
	if out.Vertices, err = mean(it.Vertices, 3); err != nil {
		return out, err
	}
	if out.Colors, err = mean(it.Colors, it.Channels); err != nil {
		return out, err
	}
	return out, geometry.Each(ctx, len(it.Faces), func(i int) { out.Faces[i] = of[it.Faces[i]] })
}
