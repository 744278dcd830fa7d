package unwrap

import (
	"cmp"
	"context"
	"math"
	"slices"

	"comfygo/internal/geometry"
)

const (
	// largestSolved is the number of vertices of a chart up to which the equations of its angles are solved as a whole: their factors grow
	// faster than the chart.
	largestSolved = 1 << 16
	// pieceFaces is the largest number of faces of the charts into which a larger one is divided.
	pieceFaces = 1 << 13
)

// divide replaces charts that are too large to be flattened by smaller ones, which are flattened.
func (s *surface) divide(ctx context.Context, charts []*chart, large []int, of []int32, progress func(done, total int)) ([]*chart, error) {
	isLarge := make([]bool, len(charts))
	for _, i := range large {
		isLarge[i] = true
	}
	next := int32(len(charts))
	place, number := make([]int32, len(of)), make([]int32, len(s.vertices)/3)
	out := make([]*chart, 0, len(charts))
	for i, c := range charts {
		if !isLarge[i] {
			out = append(out, c)
			continue
		}
		pieces, err := s.pieces(ctx, c.original, of, next)
		if err != nil {
			return nil, err
		}
		for k, p := range pieces {
			for at, f := range p.original {
				place[f] = int32(at)
				p.area += s.areas[f]
			}
			if err := s.fill(ctx, p, next+int32(k), of, place, number); err != nil {
				return nil, err
			}
		}
		if _, err := flattenAll(ctx, pieces, progress); err != nil {
			return nil, err
		}
		next += int32(len(pieces))
		out = append(out, pieces...)
	}
	return out, nil
}

// pieces halves a list of faces across its longest side until the parts are small, and returns the connected parts of them, numbered in of from next on.
func (s *surface) pieces(ctx context.Context, faces []int32, of []int32, next int32) ([]*chart, error) {
	faces = slices.Clone(faces)
	label := next // of the halves, before they are taken apart
	for list := [][]int32{faces}; len(list) > 0; {
		part := list[len(list)-1]
		list = list[:len(list)-1]
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		if len(part) <= pieceFaces {
			for _, f := range part {
				of[f] = label
			}
			label++
			continue
		}
		if err := s.sortAlong(ctx, part, longest(s.bounds(part))); err != nil {
			return nil, err
		}
		list = append(list, part[len(part)/2:], part[:len(part)/2])
	}
	slices.Sort(faces)
	sets := geometry.NewSets(len(faces))
	for i, f := range faces {
		for _, other := range s.beside[3*f : 3*f+3] {
			if other >= 0 && of[other] == of[f] {
				if k, there := slices.BinarySearch(faces, other); there {
					sets.Join(int32(i), int32(k))
				}
			}
		}
	}
	var out []*chart
	at := make([]int32, len(faces)) // piece of each set
	for i, f := range faces {
		first := sets.Find(int32(i))
		if first == int32(i) {
			at[i] = int32(len(out))
			out = append(out, &chart{})
		}
		p := at[first]
		out[p].original = append(out[p].original, f)
	}
	for i, p := range out {
		for _, f := range p.original {
			of[f] = next + int32(i)
		}
	}
	return out, nil
}

// sortAlong sorts faces by their centers on an axis.
func (s *surface) sortAlong(ctx context.Context, faces []int32, axis int32) error {
	keys := make([]geometry.Half, len(faces))
	for i, f := range faces {
		keys[i] = geometry.Half{Key: geometry.FloatKey(s.centers[3*f+axis]), Half: f}
	}
	const few = 1 << 12 // for which the digits of a radix sort are too many
	if len(keys) < few {
		slices.SortFunc(keys, func(a, b geometry.Half) int { return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Half, b.Half)) })
	} else if err := geometry.SortHalves(ctx, keys); err != nil {
		return err
	}
	for i, k := range keys {
		faces[i] = k.Half
	}
	return nil
}

// bounds are the bounds of the centers of faces.
func (s *surface) bounds(faces []int32) (lo, hi [3]float32) {
	lo, hi = [3]float32{math.MaxFloat32, math.MaxFloat32, math.MaxFloat32}, [3]float32{-math.MaxFloat32, -math.MaxFloat32, -math.MaxFloat32}
	for _, f := range faces {
		for k, v := range geometry.At(s.centers, f) {
			lo[k], hi[k] = min(lo[k], v), max(hi[k], v)
		}
	}
	return lo, hi
}

// longest is the axis along which bounds are longest.
func longest(lo, hi [3]float32) int32 {
	best := int32(0)
	for k := int32(1); k < 3; k++ {
		if hi[k]-lo[k] > hi[best]-lo[best] {
			best = k
		}
	}
	return best
}
