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
		var err error
		if out.Faces, err = r.filter(&out); err != nil {
			return out, err
		}
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
	return compacted(r.ctx, out)
}

// compacted leaves out vertices without faces. What is left of a mesh is never nil.
func compacted(ctx context.Context, it geometry.Item) (geometry.Item, error) {
	out, err := geometry.Compact(ctx, it)
	if out.Vertices == nil {
		out.Vertices = []float32{}
	}
	return out, err
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
func (r *remesher) filter(it *geometry.Item) ([]int32, error) {
	pieces, of, err := findPieces(r.ctx, it)
	if err != nil {
		return nil, err
	}
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
		if i&0xff == 0xff {
			if err := context.Cause(r.ctx); err != nil {
				return nil, err
			}
		}
		p.keep = p.faces >= least
		if r.DropInverted && i != large && p.volume < 0 {
			p.keep = false
		}
		if r.DropEnclosed && i != large {
			enclosed := within(p, pieces[large])
			if !enclosed && p.keep {
				if enclosed, err = r.inside(it, of, int32(large), p.center); err != nil {
					return nil, err
				}
			}
			p.keep = p.keep && !enclosed
		}
		all = all && p.keep
	}
	if all {
		return it.Faces, nil
	}
	kept := make([]int32, 0, len(it.Faces))
	err = geometry.Each(r.ctx, len(of), func(f int) {
		if pieces[of[f]].keep {
			kept = append(kept, it.Faces[3*f:3*f+3]...)
		}
	})
	return kept, err
}

// findPieces lists the pieces by their smallest vertex and returns the piece of each face.
func findPieces(ctx context.Context, it *geometry.Item) (pieces []*piece, of []int32, err error) {
	sets := geometry.NewSets(it.VertexCount())
	err = geometry.Each(ctx, it.FaceCount(), func(f int) {
		a, b, c := it.Corner(f)
		sets.Join(a, b)
		sets.Join(a, c)
	})
	if err != nil {
		return nil, nil, err
	}
	of = make([]int32, it.FaceCount())
	number := make([]int32, it.VertexCount()) // 1 for the name of a piece, then the piece
	if err := geometry.Each(ctx, len(of), func(f int) { number[sets.Find(it.Faces[3*f])] = 1 }); err != nil {
		return nil, nil, err
	}
	err = geometry.Each(ctx, len(number), func(v int) {
		if number[v] != 0 {
			number[v] = int32(len(pieces))
			inf := float32(math.Inf(1))
			pieces = append(pieces, &piece{lo: geometry.Vec{inf, inf, inf}, hi: geometry.Vec{-inf, -inf, -inf}})
		}
	})
	if err != nil {
		return nil, nil, err
	}
	err = geometry.Each(ctx, len(of), func(f int) {
		of[f] = number[sets.Find(it.Faces[3*f])]
		p := pieces[of[f]]
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
	})
	for _, p := range pieces {
		n := float32(p.faces)
		p.center = geometry.Vec{p.center[0] / n, p.center[1] / n, p.center[2] / n}
	}
	return pieces, of, err
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
func (r *remesher) inside(it *geometry.Item, of []int32, which int32, o geometry.Vec) (odd bool, err error) {
	err = geometry.Each(r.ctx, len(of), func(f int) {
		if of[f] != which {
			return
		}
		i, j, k := it.Corner(f)
		a, b, c := geometry.At(it.Vertices, i), geometry.At(it.Vertices, j), geometry.At(it.Vertices, k)
		s12 := turn(b, c, o)
		s20 := turn(c, a, o)
		s01 := turn(a, b, o)
		total := s12 + s20 + s01
		if !(s12 >= 0 && s20 >= 0 && s01 >= 0 || s12 <= 0 && s20 <= 0 && s01 <= 0) || !(abs(total) > 1e-20) {
			return
		}
		if (s12*a[0]+s20*b[0]+s01*c[0])*(1/total) > o[0] {
			odd = !odd
		}
	})
	return odd, err
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
	each := func(visit func(a, b int32)) error {
		return geometry.Each(r.ctx, len(halves), func(i int) { visit(halves[i].Ends()) })
	}
	err = each(func(a, b int32) {
		count[a]++
		count[b]++
	})
	for range r.SmoothIterations {
		for _, w := range [2]float32{0.5, -0.53} {
			if err != nil {
				return err
			}
			sum := make([]float32, len(it.Vertices))
			add := func(a, b int32) { geometry.At(sum, a).Add(geometry.At(it.Vertices, b)).Put(sum, a) }
			if err := each(add); err != nil {
				return err
			}
			if err := each(func(a, b int32) { add(b, a) }); err != nil {
				return err
			}
			next := make([]float32, len(sum))
			err = geometry.Each(r.ctx, len(sum), func(i int) {
				v := it.Vertices[i]
				next[i] = v
				if n := count[i/3]; n > 0 {
					next[i] = v + w*(sum[i]/n-v)
				}
			})
			it.Vertices = next
		}
		r.tick()
	}
	return err
}

// fixPoles merges pairs of neighbors that both have three neighbors.
func fixPoles(ctx context.Context, it geometry.Item) (geometry.Item, error) {
	halves, err := geometry.SortedEdges(ctx, it.Faces)
	if err != nil {
		return it, err
	}
	valence, rim := make([]int32, it.VertexCount()), make([]bool, it.VertexCount())
	var unique []geometry.Half
	err = geometry.EachEdge(ctx, halves, func(group []geometry.Half) {
		unique = append(unique, group[0])
		a, b := group[0].Ends()
		valence[a]++
		valence[b]++
		if len(group) == 1 {
			rim[a], rim[b] = true, true
		}
	})
	if err != nil {
		return it, err
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
	err = geometry.Each(ctx, len(unique), func(i int) {
		a, b := unique[i].Ends()
		if !pole(a) || !pole(b) || used[a] || used[b] {
			return
		}
		used[a], used[b], any = true, true, true
		merge[b] = a
		geometry.At(it.Vertices, a).Add(geometry.At(it.Vertices, b)).Times(0.5).Put(out.Vertices, a)
		for k := range it.Channels {
			if it.Colors != nil {
				out.Colors[it.Channels*int(a)+k] = 0.5 * (it.Colors[it.Channels*int(a)+k] + it.Colors[it.Channels*int(b)+k])
			}
		}
	})
	if err != nil || !any {
		return it, err
	}
	out.Faces = nil
	err = geometry.Each(ctx, it.FaceCount(), func(f int) {
		i, j, k := it.Corner(f)
		if a, b, c := merge[i], merge[j], merge[k]; a != b && b != c && a != c {
			out.Faces = append(out.Faces, a, b, c)
		}
	})
	if err != nil {
		return it, err
	}
	return compacted(ctx, out)
}
