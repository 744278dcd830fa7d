package weld

import (
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
	loops, loopOf, err := trace(ctx, it, boundary)
	if err != nil {
		return *it, err
	}
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
	for _, centered := range [2]bool{true, false} {
		err := geometry.Each(ctx, len(boundary), func(i int) {
			e, l := boundary[i], loops[loopOf[i]]
			switch {
			case !l.keep || (l.center >= 0) != centered:
			case centered:
				out.Faces = append(out.Faces, e[1], e[0], l.center)
			case e[0] != l.apex && e[1] != l.apex:
				out.Faces = append(out.Faces, e[1], e[0], l.apex)
			}
		})
		if err != nil {
			return *it, err
		}
	}
	if o.Chains {
		if out.Faces, err = closeChains(ctx, out.Faces, it.VertexCount(), boundary, loops); err != nil {
			return *it, err
		}
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
	single := make([]bool, len(it.Faces))
	err = geometry.EachEdge(ctx, halves, func(group []geometry.Half) { single[group[0].Half] = len(group) == 1 })
	if err != nil {
		return nil, err
	}
	var out [][2]int32
	for corner := range 3 {
		err := geometry.Each(ctx, it.FaceCount(), func(f int) {
			if h := 3*f + corner; single[h] {
				out = append(out, [2]int32{it.Faces[h], it.Faces[3*f+(corner+1)%3]})
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// trace finds the connected parts of the boundary, sorted by their smallest vertex.
func trace(ctx context.Context, it *geometry.Item, boundary [][2]int32) (loops []*loop, loopOf []int32, err error) {
	sets := geometry.NewSets(it.VertexCount())
	if err := geometry.Each(ctx, len(boundary), func(i int) { sets.Join(boundary[i][0], boundary[i][1]) }); err != nil {
		return nil, nil, err
	}
	number := make([]int32, it.VertexCount()) // 1 for the name of a part, then the number of its loop
	if err := geometry.Each(ctx, len(boundary), func(i int) { number[sets.Find(boundary[i][0])] = 1 }); err != nil {
		return nil, nil, err
	}
	err = geometry.Each(ctx, len(number), func(v int) {
		if number[v] != 0 {
			number[v] = int32(len(loops))
			loops = append(loops, &loop{apex: int32(v)})
		}
	})
	if err != nil {
		return nil, nil, err
	}
	loopOf = make([]int32, len(boundary))
	err = geometry.Each(ctx, len(boundary), func(i int) {
		e := boundary[i]
		loopOf[i] = number[sets.Find(e[0])]
		l := loops[loopOf[i]]
		l.edges++
		l.perimeter += geometry.At(it.Vertices, e[0]).Sub(geometry.At(it.Vertices, e[1])).Len()
		l.vertices = append(l.vertices, e[0], e[1])
	})
	if err != nil {
		return nil, nil, err
	}
	for i, l := range loops {
		if i&0xfff == 0 {
			if err := context.Cause(ctx); err != nil {
				return nil, nil, err
			}
		}
		if err := sortLoop(ctx, l); err != nil {
			return nil, nil, err
		}
	}
	return loops, loopOf, nil
}

// sortLoop lists the vertices of a loop once each.
func sortLoop(ctx context.Context, l *loop) error {
	const few = 1 << 10 // for which looking for an interrupt costs more than sorting
	if len(l.vertices) < few {
		slices.Sort(l.vertices)
	} else if err := geometry.Sort(ctx, l.vertices); err != nil {
		return err
	}
	l.vertices = slices.Compact(l.vertices)
	return nil
}

// closeChains adds the triangle between the ends of open chains and the vertex in their middle.
func closeChains(ctx context.Context, faces []int32, vertices int, boundary [][2]int32, loops []*loop) ([]int32, error) {
	degree := make([]int32, vertices)
	for _, e := range boundary {
		degree[e[0]]++
		degree[e[1]]++
	}
	err := geometry.Each(ctx, len(loops), func(i int) {
		l := loops[i]
		if l.center < 0 {
			return
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
	})
	return faces, err
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
