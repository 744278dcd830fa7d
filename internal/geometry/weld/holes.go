package weld

import (
	"cmp"
	"context"
	"slices"

	"comfygo/internal/geometry"
)

// HoleOptions select the holes to fill.
type HoleOptions struct {
	MaxPerimeter float64
	MaxVertices  int
	// Chains fills open chains of boundary edges as well.
	Chains bool
}

// fanVertices is the largest hole that is filled by triangles from one of its vertices; larger ones get a vertex in their
// middle.
const fanVertices = 8

// loop is a connected part of the boundary.
type loop struct {
	apex      int32 // smallest vertex
	edges     int
	perimeter float32
	vertices  []int32 // sorted
	keep      bool
	center    int32 // vertex in the middle, -1 for none
}

// Fill closes holes of a welded mesh: boundaries of edges with one face that form cycles.
func Fill(ctx context.Context, it *geometry.Item, o HoleOptions) (geometry.Item, error) {
	boundary, err := boundaryEdges(ctx, it)
	if err != nil || len(boundary) == 0 {
		return *it, err
	}
	loops, loopOf := trace(it, boundary)
	next := int32(it.VertexCount())
	any := false
	for _, l := range loops {
		n := len(l.vertices)
		l.center = -1
		l.keep = n >= 3 && n <= o.MaxVertices && l.perimeter < float32(o.MaxPerimeter) && (o.Chains || n == l.edges)
		any = any || l.keep
		if l.keep && n > fanVertices {
			l.center = next
			next++
		}
	}
	if !any {
		return *it, nil
	}
	out := *it
	out.Faces = slices.Clone(it.Faces)
	for i, e := range boundary {
		if l := loops[loopOf[i]]; l.keep && l.center >= 0 {
			out.Faces = append(out.Faces, e[1], e[0], l.center)
		}
	}
	for i, e := range boundary {
		if l := loops[loopOf[i]]; l.keep && l.center < 0 && e[0] != l.apex && e[1] != l.apex {
			out.Faces = append(out.Faces, e[1], e[0], l.apex)
		}
	}
	if o.Chains {
		out.Faces = closeChains(out.Faces, boundary, loops)
	}
	out.Vertices = appendCenters(it.Vertices, 3, loops)
	if it.Colors != nil {
		out.Colors = appendCenters(it.Colors, it.Channels, loops)
	}
	return out, nil
}

// boundaryEdges are the directed edges that belong to one face: those from the first corners of all faces, then the second,
// then the third.
func boundaryEdges(ctx context.Context, it *geometry.Item) ([][2]int32, error) {
	halves, err := geometry.SortedEdges(ctx, it.Faces)
	if err != nil {
		return nil, err
	}
	var single []int32
	for i, h := range halves {
		if (i == 0 || halves[i-1].Key != h.Key) && (i+1 == len(halves) || halves[i+1].Key != h.Key) {
			single = append(single, h.Half)
		}
	}
	slices.SortFunc(single, func(a, b int32) int { return cmp.Or(cmp.Compare(a%3, b%3), cmp.Compare(a, b)) })
	out := make([][2]int32, len(single))
	for i, h := range single {
		out[i] = [2]int32{it.Faces[h], it.Faces[h-h%3+(h+1)%3]}
	}
	return out, nil
}

// trace finds the connected parts of the boundary, sorted by their smallest vertex.
func trace(it *geometry.Item, boundary [][2]int32) (loops []*loop, loopOf []int) {
	sets := geometry.NewSets(it.VertexCount())
	for _, e := range boundary {
		sets.Join(e[0], e[1])
	}
	names := make([]int32, len(boundary))
	for i, e := range boundary {
		names[i] = sets.Find(e[0])
	}
	sorted := slices.Clone(names)
	slices.Sort(sorted)
	sorted = slices.Compact(sorted)
	loops = make([]*loop, len(sorted))
	for i, name := range sorted {
		loops[i] = &loop{apex: name}
	}
	loopOf = make([]int, len(boundary))
	for i, e := range boundary {
		at, _ := slices.BinarySearch(sorted, names[i])
		loopOf[i] = at
		l := loops[at]
		l.edges++
		l.perimeter += geometry.At(it.Vertices, e[0]).Sub(geometry.At(it.Vertices, e[1])).Len()
		l.vertices = append(l.vertices, e[0], e[1])
	}
	for _, l := range loops {
		slices.Sort(l.vertices)
		l.vertices = slices.Compact(l.vertices)
	}
	return loops, loopOf
}

// closeChains adds the triangle between the ends of open chains and the vertex in their middle.
func closeChains(faces []int32, boundary [][2]int32, loops []*loop) []int32 {
	degree := map[int32]int{}
	for _, e := range boundary {
		degree[e[0]]++
		degree[e[1]]++
	}
	for _, l := range loops {
		if l.center < 0 {
			continue
		}
		var ends []int32
		for _, v := range l.vertices {
			if degree[v] == 1 {
				ends = append(ends, v)
			}
		}
		if len(ends) == 2 {
			faces = append(faces, ends[0], ends[1], l.center)
		}
	}
	return faces
}

// appendCenters adds the means of the loops' vertices.
func appendCenters(values []float32, width int, loops []*loop) []float32 {
	out := slices.Clone(values)
	for _, l := range loops {
		if l.center < 0 {
			continue
		}
		sum := make([]float32, width)
		for _, v := range l.vertices {
			for c := range width {
				sum[c] += values[width*int(v)+c]
			}
		}
		for c := range width {
			out = append(out, sum[c]/float32(len(l.vertices)))
		}
	}
	return out
}
