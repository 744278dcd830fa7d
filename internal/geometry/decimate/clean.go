package decimate

import (
	"context"
	"math"
	"slices"

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
	out.Faces = withoutDegenerate(&out)
	unique, err := firstOfEach(ctx, out.Faces)
	if err != nil {
		return out, err
	}
	if len(unique) < len(out.Faces) {
		out.Faces = unique
	}
	return compacted(out), context.Cause(ctx)
}

func twice(a, b, c int32) bool { return a == b || b == c || a == c }

// withoutDegenerate leaves out faces with a vertex twice or without area.
func withoutDegenerate(it *geometry.Item) []int32 {
	kept := make([]int32, 0, len(it.Faces))
	for f := range it.FaceCount() {
		a, b, c := it.Corner(f)
		if twice(a, b, c) {
			continue
		}
		p, q := geometry.At(it.Vertices, a), geometry.At(it.Vertices, c)
		if area := 0.5 * geometry.At(it.Vertices, b).Sub(p).Cross(q.Sub(p)).Len(); area < minArea {
			continue
		}
		kept = append(kept, a, b, c)
	}
	return kept
}

// firstOfEach keeps the first of all faces with the same vertices, sorted by these.
func firstOfEach(ctx context.Context, faces []int32) ([]int32, error) {
	sorted := func(f int32) [3]int32 {
		v := [3]int32{faces[3*f], faces[3*f+1], faces[3*f+2]}
		slices.Sort(v[:])
		return v
	}
	list := make([]geometry.Half, len(faces)/3) // by the last vertex, then by the first two: a sort that keeps the order of equal keys
	for f := range list {
		list[f] = geometry.Half{Key: uint64(sorted(int32(f))[2]), Half: int32(f)}
	}
	if err := geometry.SortHalves(ctx, list); err != nil {
		return nil, err
	}
	for i, h := range list {
		v := sorted(h.Half)
		list[i].Key = uint64(v[0])<<32 | uint64(v[1])
	}
	if err := geometry.SortHalves(ctx, list); err != nil {
		return nil, err
	}
	out := make([]int32, 0, len(faces))
	for i, h := range list {
		if i == 0 || list[i-1].Key != h.Key || sorted(list[i-1].Half)[2] != sorted(h.Half)[2] {
			out = append(out, faces[3*h.Half:3*h.Half+3]...)
		}
	}
	return out, nil
}

// compacted leaves out vertices without faces. A mesh without faces keeps them.
func compacted(it geometry.Item) geometry.Item {
	if len(it.Faces) == 0 {
		return it
	}
	number := make([]int32, it.VertexCount())
	for _, v := range it.Faces {
		number[v] = 1
	}
	var source []int32
	for v, used := range number {
		if used != 0 {
			number[v] = int32(len(source))
			source = append(source, int32(v))
		}
	}
	out := geometry.Item{Channels: it.Channels, Faces: make([]int32, len(it.Faces))}
	for i, v := range it.Faces {
		out.Faces[i] = number[v]
	}
	out.Vertices, out.Colors = taken(it.Vertices, source, 3), taken(it.Colors, source, it.Channels)
	return out
}

func taken(values []float32, source []int32, width int) []float32 {
	if values == nil {
		return nil
	}
	out := make([]float32, 0, width*len(source))
	for _, s := range source {
		out = append(out, values[width*int(s):width*int(s)+width]...)
	}
	return out
}

// finish compacts the mesh, takes surfaces apart that have fused, and drops slivers and small pieces.
func (s *state) finish() (geometry.Item, error) {
	faces, err := firstOfEach(s.ctx, s.faces)
	if err != nil {
		return geometry.Item{}, err
	}
	it := geometry.Item{Vertices: s.vertices, Colors: s.colors, Channels: s.channels, Faces: faces}
	if len(it.Faces) == 0 {
		return geometry.Item{Vertices: []float32{}, Faces: []int32{}, Channels: it.Channels, Colors: taken(it.Colors, nil, it.Channels)}, nil
	}
	if it, err = separated(s.ctx, it); err != nil {
		return it, err
	}
	it.Faces = withoutDegenerate(&it)
	it.Faces = collapsedSlivers(&it)
	it.Faces = largePieces(&it)
	return compacted(it), context.Cause(s.ctx)
}

// separated gives faces vertices of their own but where they meet at edges of exactly two faces.
func separated(ctx context.Context, it geometry.Item) (geometry.Item, error) {
	halves, err := geometry.SortedEdges(ctx, it.Faces)
	if err != nil {
		return it, err
	}
	corners := geometry.NewSets(len(it.Faces))
	eachEdge(halves, func(group []geometry.Half) {
		if len(group) != 2 {
			return
		}
		a0, a1 := ends(it.Faces, group[0].Half)
		b0, b1 := ends(it.Faces, group[1].Half)
		corners.Join(a0, b0)
		corners.Join(a1, b1)
	})
	number := make([]int32, len(it.Faces))
	var source []int32
	for c := range number {
		if first := corners.Find(int32(c)); first == int32(c) {
			number[c] = int32(len(source))
			source = append(source, it.Faces[c])
		} else {
			number[c] = number[first]
		}
	}
	return geometry.Item{Vertices: taken(it.Vertices, source, 3), Colors: taken(it.Colors, source, it.Channels), Channels: it.Channels, Faces: number}, nil
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
func collapsedSlivers(it *geometry.Item) []int32 {
	merge := make([]int32, it.VertexCount())
	for v := range merge {
		merge[v] = int32(v)
	}
	any := false
	for slot := range 3 {
		for f := range it.FaceCount() {
			shortest, bad := sliver(it, f)
			if !bad || shortest != slot {
				continue
			}
			any = true
			a, b := it.Faces[3*f+slot], it.Faces[3*f+(slot+1)%3]
			merge[max(a, b)] = min(a, b)
		}
	}
	if !any {
		return it.Faces
	}
	for range 10 {
		changed := false
		next := make([]int32, len(merge))
		for v, m := range merge {
			next[v] = merge[m]
			changed = changed || next[v] != m
		}
		merge = next
		if !changed {
			break
		}
	}
	kept := make([]int32, 0, len(it.Faces))
	for i := 0; i < len(it.Faces); i += 3 {
		if a, b, c := merge[it.Faces[i]], merge[it.Faces[i+1]], merge[it.Faces[i+2]]; !twice(a, b, c) {
			kept = append(kept, a, b, c)
		}
	}
	return kept
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
func largePieces(it *geometry.Item) []int32 {
	sets := geometry.NewSets(it.VertexCount())
	for i := 0; i < len(it.Faces); i += 3 {
		sets.Join(it.Faces[i], it.Faces[i+1])
		sets.Join(it.Faces[i], it.Faces[i+2])
	}
	size := make([]int32, it.VertexCount())
	for i := 0; i < len(it.Faces); i += 3 {
		size[sets.Find(it.Faces[i])]++
	}
	kept := make([]int32, 0, len(it.Faces))
	for i := 0; i < len(it.Faces); i += 3 {
		if size[sets.Find(it.Faces[i])] >= minComponentFaces {
			kept = append(kept, it.Faces[i:i+3]...)
		}
	}
	if len(kept) == 0 {
		return it.Faces
	}
	return kept
}
