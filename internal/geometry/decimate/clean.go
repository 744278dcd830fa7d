package decimate

import (
	"context"
	"math"

	"comfygo/internal/geometry"
	"comfygo/internal/geometry/weld"
)

// preclean welds a mesh and drops degenerate and repeated faces and unused vertices.
func preclean(ctx context.Context, it *geometry.Item) (geometry.Item, error) {
	lo, hi := it.Bounds()
	size := geometry.Vec(hi).Sub(geometry.Vec(lo)).Len() * weldFraction
	out, _, err := weld.Vertices(ctx, it, float64(size))
	if err != nil {
		return out, err
	}
	out.UVs, out.Normals, out.Tangents = nil, nil, nil
	if out.Faces, err = withoutDegenerate(ctx, &out); err != nil {
		return out, err
	}
	unique, err := firstOfEach(ctx, out.Faces)
	if err != nil {
		return out, err
	}
	if len(unique) < len(out.Faces) {
		out.Faces = unique
	}
	return compacted(ctx, out)
}

func twice(a, b, c int32) bool { return a == b || b == c || a == c }

// withoutDegenerate leaves out faces with a vertex twice or without area.
func withoutDegenerate(ctx context.Context, it *geometry.Item) ([]int32, error) {
	kept := make([]int32, 0, len(it.Faces))
	err := geometry.Each(ctx, it.FaceCount(), func(f int) {
		a, b, c := it.Corner(f)
		if twice(a, b, c) {
			return
		}
		p, q := geometry.At(it.Vertices, a), geometry.At(it.Vertices, c)
		if area := 0.5 * geometry.At(it.Vertices, b).Sub(p).Cross(q.Sub(p)).Len(); area < minArea {
			return
		}
		kept = append(kept, a, b, c)
	})
	return kept, err
}

// firstOfEach keeps the first of all faces with the same vertices, sorted by these.
func firstOfEach(ctx context.Context, faces []int32) ([]int32, error) {
	sorted := func(f int32) [3]int32 {
		a, b, c := faces[3*f], faces[3*f+1], faces[3*f+2]
		low, high := min(a, b, c), max(a, b, c)
		return [3]int32{low, a ^ b ^ c ^ low ^ high, high}
	}
	list := make([]geometry.Half, len(faces)/3) // by the last vertex, then by the first two: a sort that keeps the order of equal keys
	err := geometry.Each(ctx, len(list), func(f int) {
		list[f] = geometry.Half{Key: uint64(sorted(int32(f))[2]), Half: int32(f)}
	})
	if err != nil {
		return nil, err
	}
	if err := geometry.SortHalves(ctx, list); err != nil {
		return nil, err
	}
	err = geometry.Each(ctx, len(list), func(i int) {
		v := sorted(list[i].Half)
		list[i].Key = uint64(v[0])<<32 | uint64(v[1])
	})
	if err != nil {
		return nil, err
	}
	if err := geometry.SortHalves(ctx, list); err != nil {
		return nil, err
	}
	out := make([]int32, 0, len(faces))
	err = geometry.Each(ctx, len(list), func(i int) {
		h := list[i]
		if i == 0 || list[i-1].Key != h.Key || sorted(list[i-1].Half)[2] != sorted(h.Half)[2] {
			out = append(out, faces[3*h.Half:3*h.Half+3]...)
		}
	})
	return out, err
}

// compacted leaves out vertices without faces. A mesh without faces keeps them.
func compacted(ctx context.Context, it geometry.Item) (geometry.Item, error) {
	if len(it.Faces) == 0 {
		return it, nil
	}
	return geometry.Compact(ctx, it)
}

// finish compacts the mesh, takes surfaces apart that have fused, and drops slivers and small pieces.
func (s *state) finish() (geometry.Item, error) {
	faces, err := firstOfEach(s.ctx, s.faces)
	if err != nil {
		return geometry.Item{}, err
	}
	it := geometry.Item{Vertices: s.vertices, Colors: s.colors, Channels: s.channels, Faces: faces}
	if len(it.Faces) == 0 {
		empty := geometry.Item{Vertices: []float32{}, Faces: []int32{}, Channels: it.Channels}
		if it.Colors != nil {
			empty.Colors = []float32{}
		}
		return empty, nil
	}
	if it, err = separated(s.ctx, it); err != nil {
		return it, err
	}
	for _, clean := range []func(context.Context, *geometry.Item) ([]int32, error){withoutDegenerate, collapsedSlivers, largePieces} {
		if it.Faces, err = clean(s.ctx, &it); err != nil {
			return it, err
		}
	}
	return compacted(s.ctx, it)
}

// separated gives faces vertices of their own but where they meet at edges of exactly two faces.
func separated(ctx context.Context, it geometry.Item) (geometry.Item, error) {
	halves, err := geometry.SortedEdges(ctx, it.Faces)
	if err != nil {
		return it, err
	}
	corners := geometry.NewSets(len(it.Faces))
	err = geometry.EachEdge(ctx, halves, func(group []geometry.Half) {
		if len(group) != 2 {
			return
		}
		a0, a1 := ends(it.Faces, group[0].Half)
		b0, b1 := ends(it.Faces, group[1].Half)
		corners.Join(a0, b0)
		corners.Join(a1, b1)
	})
	if err != nil {
		return it, err
	}
	number := make([]int32, len(it.Faces))
	var source []int32
	err = geometry.Each(ctx, len(number), func(c int) {
		if first := corners.Find(int32(c)); first == int32(c) {
			number[c] = int32(len(source))
			source = append(source, it.Faces[c])
		} else {
			number[c] = number[first]
		}
	})
	if err != nil {
		return it, err
	}
	out := geometry.Item{Channels: it.Channels, Faces: number}
	if out.Vertices, err = geometry.Gather(ctx, it.Vertices, source, 3); err != nil {
		return it, err
	}
	out.Colors, err = geometry.Gather(ctx, it.Colors, source, it.Channels)
	return out, err
}

// ends are the corners of a half-edge, that of the smaller vertex first.
func ends(faces []int32, half int32) (lo, hi int32) {
	next := half - half%3 + (half+1)%3
	if faces[half] <= faces[next] {
		return half, next
	}
	return next, half
}

// collapsedSlivers merges the ends of the shortest sides of needle-shaped faces.
func collapsedSlivers(ctx context.Context, it *geometry.Item) ([]int32, error) {
	merge := make([]int32, it.VertexCount())
	for v := range merge {
		merge[v] = int32(v)
	}
	any := false
	for slot := range 3 {
		err := geometry.Each(ctx, it.FaceCount(), func(f int) {
			shortest, bad := sliver(it, f)
			if !bad || shortest != slot {
				return
			}
			any = true
			a, b := it.Faces[3*f+slot], it.Faces[3*f+(slot+1)%3]
			merge[max(a, b)] = min(a, b)
		})
		if err != nil {
			return nil, err
		}
	}
	if !any {
		return it.Faces, nil
	}
	for range 10 {
		changed := false
		next := make([]int32, len(merge))
		err := geometry.Each(ctx, len(merge), func(v int) {
			next[v] = merge[merge[v]]
			changed = changed || next[v] != merge[v]
		})
		if err != nil {
			return nil, err
		}
		merge = next
		if !changed {
			break
		}
	}
	kept := make([]int32, 0, len(it.Faces))
	err := geometry.Each(ctx, it.FaceCount(), func(f int) {
		i, j, k := it.Corner(f)
		if a, b, c := merge[i], merge[j], merge[k]; !twice(a, b, c) {
			kept = append(kept, a, b, c)
		}
	})
	return kept, err
}

// sliver reports whether a face is a needle, and its shortest side.
func sliver(it *geometry.Item, face int) (shortest int, bad bool) {
	a, b, c := it.Corner(face)
	p0, p1, p2 := geometry.At(it.Vertices, a), geometry.At(it.Vertices, b), geometry.At(it.Vertices, c)
	l := [3]float32{p1.Sub(p0).Len(), p2.Sub(p1).Len(), p0.Sub(p2).Len()}
	for k := 1; k < 3; k++ {
		if l[k] < l[shortest] {
			shortest = k
		}
	}
	area := 0.5 * p1.Sub(p0).Cross(p2.Sub(p0)).Len()
	longest := max(l[0], l[1], l[2])
	if longest*longest/(2*area+1e-12) > maxAspect {
		return shortest, true
	}
	for k := range 3 { // the angle opposite to side k
		x, y, z := l[k], l[(k+1)%3], l[(k+2)%3]
		cos := (y*y + z*z - x*x) / (2*y*z + 1e-12)
		if math.Acos(float64(min(max(cos, -1), 1)))*(180/math.Pi) < minAngle {
			return shortest, true
		}
	}
	return shortest, false
}

// largePieces drops connected pieces of few faces, unless all are.
func largePieces(ctx context.Context, it *geometry.Item) ([]int32, error) {
	sets, size := geometry.NewSets(it.VertexCount()), make([]int32, it.VertexCount())
	kept := make([]int32, 0, len(it.Faces))
	for _, step := range []func(a, b, c int32){
		func(a, b, c int32) { sets.Join(a, b); sets.Join(a, c) },
		func(a, _, _ int32) { size[sets.Find(a)]++ },
		func(a, b, c int32) {
			if size[sets.Find(a)] >= minComponentFaces {
				kept = append(kept, a, b, c)
			}
		},
	} {
		if err := geometry.Each(ctx, it.FaceCount(), func(f int) { step(it.Corner(f)) }); err != nil {
			return nil, err
		}
	}
	if len(kept) == 0 {
		return it.Faces, nil
	}
	return kept, nil
}
