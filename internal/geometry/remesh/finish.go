package remesh

import (
	"context"
	"math"
	"slices"

	"comfygo/internal/geometry"
)

// finish samples colors, moves vertices toward the surface and cleans the mesh.
func (r *remesher) finish(out geometry.Item, scale float64) (geometry.Item, error) {
	if r.ProjectBack > 0 || r.it.Colors != nil {
		if err := r.sampleSurface(&out, scale); err != nil {
			return out, err
		}
	}
	if len(out.Faces) > 0 && (r.DropSmall > 0 || r.DropInverted || r.DropEnclosed) {
		out.Faces = r.filter(&out)
	}
	var err error
	if r.FixPoles && len(out.Faces) > 0 {
		if out, err = fixPoles(r.ctx, out); err != nil {
			return out, err
		}
	}
	r.tick()
	if r.SmoothIterations > 0 && len(out.Faces) > 0 {
		if err := r.smooth(&out); err != nil {
			return out, err
		}
	}
	return compacted(out), context.Cause(r.ctx)
}

// compacted leaves out vertices without faces.
func compacted(it geometry.Item) geometry.Item {
	number := make([]int32, it.VertexCount())
	for _, v := range it.Faces {
		number[v] = 1
	}
	out := geometry.Item{Faces: make([]int32, len(it.Faces)), Vertices: []float32{}, Channels: it.Channels}
	if it.Colors != nil {
		out.Colors = []float32{}
	}
	count := int32(0)
	for v, used := range number {
		if used == 0 {
			continue
		}
		number[v] = count
		count++
		out.Vertices = append(out.Vertices, it.Vertices[3*v:3*v+3]...)
		if it.Colors != nil {
			out.Colors = append(out.Colors, it.Colors[it.Channels*v:it.Channels*v+it.Channels]...)
		}
	}
	for i, v := range it.Faces {
		out.Faces[i] = number[v]
	}
	return out
}

// piece is a connected part of a mesh.
type piece struct {
	faces  int
	volume float32
	lo, hi geometry.Vec
	center geometry.Vec
	keep   bool
}

// filter leaves out pieces by their size, orientation and place.
func (r *remesher) filter(it *geometry.Item) []int32 {
	pieces, of := findPieces(it)
	large := 0
	for i, p := range pieces {
		if p.faces > pieces[large].faces {
			large = i
		}
	}
	least := 0
	if r.DropSmall > 0 {
		least = max(1, int(float64(pieces[large].faces)*r.DropSmall))
	}
	all := true
	for i, p := range pieces {
		p.keep = p.faces >= least
		if r.DropInverted && i != large && p.volume < 0 {
			p.keep = false
		}
		if r.DropEnclosed && i != large && (within(p, pieces[large]) || p.keep && r.inside(it, of, int32(large), p.center)) {
			p.keep = false
		}
		all = all && p.keep
	}
	if all {
		return it.Faces
	}
	kept := make([]int32, 0, len(it.Faces))
	for f := range it.FaceCount() {
		if pieces[of[f]].keep {
			kept = append(kept, it.Faces[3*f:3*f+3]...)
		}
	}
	return kept
}

// findPieces lists the pieces by their smallest vertex and returns the piece of each face.
func findPieces(it *geometry.Item) (pieces []*piece, of []int32) {
	sets := geometry.NewSets(it.VertexCount())
	for i := 0; i < len(it.Faces); i += 3 {
		sets.Join(it.Faces[i], it.Faces[i+1])
		sets.Join(it.Faces[i], it.Faces[i+2])
	}
	of = make([]int32, it.FaceCount())
	for f := range of {
		of[f] = sets.Find(it.Faces[3*f])
	}
	names := slices.Clone(of)
	slices.Sort(names)
	names = slices.Compact(names)
	for range names {
		inf := float32(math.Inf(1))
		pieces = append(pieces, &piece{lo: geometry.Vec{inf, inf, inf}, hi: geometry.Vec{-inf, -inf, -inf}})
	}
	for f, name := range of {
		at, _ := slices.BinarySearch(names, name)
		of[f] = int32(at)
		p := pieces[at]
		i, j, k := it.Corner(f)
		a, b, c := geometry.At(it.Vertices, i), geometry.At(it.Vertices, j), geometry.At(it.Vertices, k)
		p.faces++
		p.volume += a.Dot(b.Cross(c))
		sum := a.Add(b).Add(c)
		p.center = p.center.Add(geometry.Vec{sum[0] / 3, sum[1] / 3, sum[2] / 3})
		for _, v := range [3]geometry.Vec{a, b, c} {
			for k := range v {
				p.lo[k], p.hi[k] = min(p.lo[k], v[k]), max(p.hi[k], v[k])
			}
		}
	}
	for _, p := range pieces {
		n := float32(p.faces)
		p.center = geometry.Vec{p.center[0] / n, p.center[1] / n, p.center[2] / n}
	}
	return pieces, of
}

// within reports whether the bounds of a piece lie within those of another.
func within(p, large *piece) bool {
	for k := range p.lo {
		if !(p.lo[k] >= large.lo[k] && p.hi[k] <= large.hi[k]) {
			return false
		}
	}
	return true
}

// inside reports whether a ray along x from a point crosses a piece an odd number of times.
func (r *remesher) inside(it *geometry.Item, of []int32, which int32, o geometry.Vec) bool {
	odd := false
	for f, piece := range of {
		if piece != which {
			continue
		}
		i, j, k := it.Corner(f)
		a, b, c := geometry.At(it.Vertices, i), geometry.At(it.Vertices, j), geometry.At(it.Vertices, k)
		s12 := turn(b, c, o)
		s20 := turn(c, a, o)
		s01 := turn(a, b, o)
		total := s12 + s20 + s01
		if !(s12 >= 0 && s20 >= 0 && s01 >= 0 || s12 <= 0 && s20 <= 0 && s01 <= 0) || !(abs(total) > 1e-20) {
			continue
		}
		if (s12*a[0]+s20*b[0]+s01*c[0])*(1/total) > o[0] {
			odd = !odd
		}
	}
	return odd
}

// turn is twice the area of the triangle of a, b and o in the plane of y and z.
func turn(a, b, o geometry.Vec) float32 {
	return float32((a[1]-o[1])*(b[2]-o[2])) - float32((a[2]-o[2])*(b[1]-o[1]))
}

// smooth applies Taubin's filter: a step that shrinks and one that grows.
func (r *remesher) smooth(it *geometry.Item) error {
	halves, err := geometry.SortedEdges(r.ctx, it.Faces)
	if err != nil {
		return err
	}
	halves = slices.CompactFunc(halves, func(a, b geometry.Half) bool { return a.Key == b.Key })
	count := make([]float32, it.VertexCount())
	for _, h := range halves {
		a, b := h.Ends()
		count[a]++
		count[b]++
	}
	for range r.SmoothIterations {
		if err := context.Cause(r.ctx); err != nil {
			return err
		}
		for _, w := range [2]float32{0.5, -0.53} {
			sum := make([]float32, len(it.Vertices))
			for _, h := range halves {
				a, b := h.Ends()
				geometry.At(sum, a).Add(geometry.At(it.Vertices, b)).Put(sum, a)
			}
			for _, h := range halves {
				a, b := h.Ends()
				geometry.At(sum, b).Add(geometry.At(it.Vertices, a)).Put(sum, b)
			}
			next := make([]float32, len(sum))
			for i, v := range it.Vertices {
				next[i] = v
				if n := count[i/3]; n > 0 {
					next[i] = v + w*(sum[i]/n-v)
				}
			}
			it.Vertices = next
		}
		r.tick()
	}
	return nil
}

// fixPoles merges pairs of neighbors that both have three neighbors.
func fixPoles(ctx context.Context, it geometry.Item) (geometry.Item, error) {
	halves, err := geometry.SortedEdges(ctx, it.Faces)
	if err != nil {
		return it, err
	}
	valence, rim := make([]int32, it.VertexCount()), make([]bool, it.VertexCount())
	var unique []geometry.Half
	for i, h := range halves {
		if i > 0 && halves[i-1].Key == h.Key {
			continue
		}
		unique = append(unique, h)
		a, b := h.Ends()
		valence[a]++
		valence[b]++
		if i+1 == len(halves) || halves[i+1].Key != h.Key {
			rim[a], rim[b] = true, true
		}
	}
	pole := func(v int32) bool { return valence[v] == 3 && !rim[v] }
	merge := make([]int32, it.VertexCount())
	for v := range merge {
		merge[v] = int32(v)
	}
	out := it
	out.Vertices, out.Colors = slices.Clone(it.Vertices), slices.Clone(it.Colors)
	used := make([]bool, it.VertexCount())
	any := false
	for _, h := range unique {
		a, b := h.Ends()
		if !pole(a) || !pole(b) || used[a] || used[b] {
			continue
		}
		used[a], used[b], any = true, true, true
		merge[b] = a
		geometry.At(it.Vertices, a).Add(geometry.At(it.Vertices, b)).Times(0.5).Put(out.Vertices, a)
		for k := range it.Channels {
			if it.Colors != nil {
				out.Colors[it.Channels*int(a)+k] = 0.5 * (it.Colors[it.Channels*int(a)+k] + it.Colors[it.Channels*int(b)+k])
			}
		}
	}
	if !any {
		return it, nil
	}
	out.Faces = nil
	for i := 0; i < len(it.Faces); i += 3 {
		if a, b, c := merge[it.Faces[i]], merge[it.Faces[i+1]], merge[it.Faces[i+2]]; a != b && b != c && a != c {
			out.Faces = append(out.Faces, a, b, c)
		}
	}
	return compacted(out), nil
}
