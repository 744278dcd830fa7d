// Package decimate reduces the faces of a mesh by collapsing edges in the order of quadric errors (Garland and Heckbert 1997), many
// disjoint edges a round, as upstream does. Arithmetic is float32.
package decimate

import (
	"context"
	"math"
	"slices"

	"comfygo/internal/geometry"
)

// Options say how vertices are placed and what is kept.
type Options struct {
	// Optimal places vertices where the quadric error is least, else in the middle of the edge.
	Optimal bool
	// LineWeight keeps edges straight, FeatureWeight keeps edges whose dihedral angle is above FeatureAngle, in degrees. Optimal only.
	LineWeight, FeatureWeight, FeatureAngle float64
	// Clamp keeps an optimal position on the edge.
	Clamp bool
	// Progress is called with the finished share of the work, in 0…1.
	Progress func(part float64)
}

// Constants of upstream's configuration.
const (
	stabilizerScale    = 1e-3
	wanderThreshold    = 2
	collapsesFraction  = 0.25
	collapsesFloor     = 10_000
	collapsesCeiling   = 1_000_000
	collapsesOfFaces   = 0.10
	maxIterations      = 5_000
	compactionPeriod   = 5
	compactionShare    = 0.85
	boundaryWeight     = 1000
	topkMultiplier     = 4
	maxDegree          = 16
	skinnyWeight       = 1e-3
	lengthWeight       = 1e-2
	thresholdStart     = 1e-8
	thresholdStep      = 10
	maxEscalations     = 50
	slowRound          = 0.01
	weldFraction       = 1e-5
	minComponentFaces  = 8
	minAngle           = 0.5
	maxAspect          = 100
	minArea            = 1e-14
	shortestEdgeSquare = 1e-10
)

// Bytes is about the memory that a mesh needs beside itself.
func Bytes(vertices, faces int) int64 { return 160*int64(vertices) + 200*int64(faces) }

// Simplify reduces a mesh to about target faces. Colors are interpolated, other attributes dropped.
func Simplify(ctx context.Context, it *geometry.Item, target int, o Options) (geometry.Item, error) {
	start, err := preclean(ctx, it)
	if err != nil {
		return geometry.Item{}, err
	}
	if start.FaceCount() <= target || start.VertexCount() < 4 {
		return start, nil
	}
	s := &state{
		Options: o, ctx: ctx, target: target,
		vertices: slices.Clone(start.Vertices), colors: slices.Clone(start.Colors), channels: start.Channels,
		faces: slices.Clone(start.Faces), alive: make([]bool, start.VertexCount()), merge: make([]int32, start.VertexCount()),
	}
	for i := range s.alive {
		s.alive[i], s.merge[i] = true, int32(i)
	}
	s.measure(&start)
	if err := s.run(); err != nil {
		return geometry.Item{}, err
	}
	return s.finish()
}

// state is a mesh while it is reduced.
type state struct {
	Options
	ctx    context.Context //nolint:containedctx // a state lives as long as one call
	target int

	vertices, colors []float32
	channels         int
	faces            []int32 // only those that are left
	alive            []bool  // vertices that are left
	merge            []int32 // vertex that each vertex became part of in a round; itself otherwise
	quadrics         []quadric

	scaleSquare, stabilizer, longest, longestSquare float32
	threshold                                       float64
	edges                                           []edge
}

// edge is an edge with the position that it would collapse to and its cost.
type edge struct {
	a, b int32
	to   geometry.Vec
	cost float32
}

// measure derives the tolerances from the size of the mesh.
func (s *state) measure(it *geometry.Item) {
	lo, hi := it.Bounds()
	scale := geometry.Vec(hi).Sub(geometry.Vec(lo)).Len()
	s.longest = scale * 2
	if s.longest < 1e-6 {
		s.longest = 1
	}
	s.longestSquare, s.scaleSquare = s.longest*s.longest, scale*scale
	s.stabilizer = scale * scale * stabilizerScale
	s.threshold = thresholdStart * float64(s.scaleSquare)
}

// run collapses edges until few enough faces are left. As upstream it counts two faces for each edge and counts anew now and then.
func (s *state) run() error {
	count, stored := len(s.faces)/3, len(s.faces)/3
	first := count
	for iteration := 0; iteration < maxIterations && count > s.target && len(s.faces) > 0; {
		if err := context.Cause(s.ctx); err != nil {
			return err
		}
		s.Progress(float64(first-count) / float64(max(1, first-s.target)))
		if err := s.candidates(iteration == 0); err != nil {
			return err
		}
		if len(s.edges) == 0 {
			break
		}
		chosen, err := s.choose(count)
		if err != nil {
			return err
		}
		iteration++
		if len(chosen) == 0 {
			if s.Optimal {
				break
			}
			s.threshold *= thresholdStep
			continue
		}
		if err := s.collapse(chosen); err != nil {
			return err
		}
		removed := 2 * len(chosen)
		if !s.Optimal && float64(removed) < slowRound*float64(count) {
			s.threshold *= thresholdStep
		}
		count -= removed
		if iteration%compactionPeriod == 0 && float64(count)/float64(max(1, stored)) < compactionShare {
			count, stored = len(s.faces)/3, len(s.faces)/3
		}
	}
	return nil
}

// candidates lists the edges with their positions and costs, sorted by their vertices.
func (s *state) candidates(first bool) error {
	halves, err := geometry.SortedEdges(s.ctx, s.faces)
	if err != nil {
		return err
	}
	if first || !s.Optimal { // middle placement forgets the quadrics of earlier rounds
		if err := s.buildQuadrics(halves); err != nil {
			return err
		}
	}
	var rim []bool
	if !s.Optimal {
		rim = make([]bool, len(s.alive))
		err := geometry.EachEdge(s.ctx, halves, func(group []geometry.Half) {
			if len(group) == 1 {
				a, b := group[0].Ends()
				rim[a], rim[b] = true, true
			}
		})
		if err != nil {
			return err
		}
	}
	s.edges = s.edges[:0]
	return geometry.EachEdge(s.ctx, halves, func(group []geometry.Half) {
		a, b := group[0].Ends()
		if e, ok := s.price(a, b, rim); ok {
			s.edges = append(s.edges, e)
		}
	})
}

// price computes where an edge would collapse to and at what cost; ok is false for edges that must not collapse.
func (s *state) price(a, b int32, rim []bool) (e edge, ok bool) {
	pa, pb := geometry.At(s.vertices, a), geometry.At(s.vertices, b)
	along := pb.Sub(pa)
	length := along.Len()
	if !(length < s.longest) {
		return e, false
	}
	q := s.quadrics[a].add(&s.quadrics[b])
	e = edge{a: a, b: b, to: middle(pa, pb, a, b, rim)}
	if s.Optimal {
		e.to = s.optimum(&q, pa, pb, e.to, along, length)
	}
	e.cost = q.at(e.to)
	square := length * length
	ok = square > s.scaleSquare*shortestEdgeSquare && e.cost < s.longestSquare
	for _, v := range e.to {
		ok = ok && v == v
	}
	e.cost += lengthWeight * square
	return e, ok && e.cost == e.cost
}

// middle is the middle of an edge, or its only end on the rim of the mesh.
func middle(pa, pb geometry.Vec, a, b int32, rim []bool) geometry.Vec {
	w := float32(0.5)
	if rim != nil && rim[a] != rim[b] {
		w = 0
		if rim[a] {
			w = 1
		}
	}
	return pa.Times(w).Add(pb.Times(1 - w))
}

// optimum returns the point with the least quadric error, kept near the edge.
func (s *state) optimum(q *quadric, pa, pb, fallback, along geometry.Vec, length float32) geometry.Vec {
	p, ok := q.minimum(s.stabilizer)
	if !ok {
		p = fallback
	}
	if s.Clamp {
		t := p.Sub(pa).Dot(along) / (along.Dot(along) + 1e-20)
		return pa.Lerp(pb, min(max(t, 0), 1))
	}
	if p.Sub(pa).Len() > wanderThreshold*length || p.Sub(pb).Len() > wanderThreshold*length {
		return fallback
	}
	return p
}

// choose picks disjoint edges to collapse.
func (s *state) choose(count int) ([]edge, error) {
	most := max(1, (count-s.target)/2)
	table, err := s.incidence()
	if err != nil {
		return nil, err
	}
	if s.Optimal {
		return s.chooseRatio(count, most, table)
	}
	return s.chooseBand(most, table)
}

// chooseBand picks among the edges that cost no more than the threshold, which rises until there are any.
func (s *state) chooseBand(most int, table *incidence) ([]edge, error) {
	lowest := float32(math.Inf(1))
	for _, e := range s.edges {
		lowest = min(lowest, e.cost)
	}
	for range maxEscalations {
		if lowest <= float32(s.threshold) {
			break
		}
		s.threshold *= thresholdStep
	}
	var band []edge
	err := geometry.Each(s.ctx, len(s.edges), func(i int) {
		e := s.edges[i]
		if !(e.cost <= float32(s.threshold)) {
			return
		}
		flips, skinny := s.shape(e, table)
		if flips || !s.linked(e, table) {
			return
		}
		e.cost += skinnyWeight * skinny * s.lengthSquare(e)
		if e.cost <= float32(s.threshold) {
			band = append(band, e)
		}
	})
	if err != nil {
		return nil, err
	}
	return s.match(band, most)
}

func (s *state) lengthSquare(e edge) float32 {
	d := geometry.At(s.vertices, e.b).Sub(geometry.At(s.vertices, e.a))
	return d.Dot(d)
}

// chooseRatio picks the cheapest of all edges, after it has checked the shapes that the cheapest ones would make.
func (s *state) chooseRatio(count, most int, table *incidence) ([]edge, error) {
	limit := min(collapsesCeiling, max(collapsesFloor, int(float64(count-s.target)*collapsesFraction)))
	limit = min(limit, max(1, int(float64(count)*collapsesOfFaces)), most)
	last := float32(math.Inf(1)) // cost of the most expensive edge that is looked at
	if n := topkMultiplier * limit; n < len(s.edges) {
		costs := make([]float32, len(s.edges))
		for i, e := range s.edges {
			costs[i] = e.cost
		}
		if err := geometry.Sort(s.ctx, costs); err != nil {
			return nil, err
		}
		last = costs[n-1]
	}
	inf := float32(math.Inf(1))
	err := geometry.Each(s.ctx, len(s.edges), func(i int) {
		e := &s.edges[i]
		looked := e.cost <= last
		if !s.linked(*e, table) {
			e.cost = inf
		}
		if !looked {
			return
		}
		flips, skinny := s.shape(*e, table)
		if flips {
			e.cost = inf
		}
		e.cost += skinnyWeight * skinny * s.lengthSquare(*e)
	})
	if err != nil {
		return nil, err
	}
	return s.match(s.edges, limit)
}

// match returns edges that are the cheapest at both of their ends, at most the given number, the cheapest first.
func (s *state) match(edges []edge, most int) ([]edge, error) {
	best := make([]int32, len(s.alive)) // 1 + number of the cheapest edge
	better := func(i, j int32) bool { return j == 0 || edges[i].cost < edges[j-1].cost }
	err := geometry.Each(s.ctx, len(edges), func(i int) {
		for _, v := range [2]int32{edges[i].a, edges[i].b} {
			if better(int32(i), best[v]) {
				best[v] = int32(i) + 1
			}
		}
	})
	if err != nil {
		return nil, err
	}
	var out []edge
	err = geometry.Each(s.ctx, len(edges), func(i int) {
		e := edges[i]
		if n := int32(i) + 1; best[e.a] == n && best[e.b] == n && s.alive[e.a] && s.alive[e.b] {
			out = append(out, e)
		}
	})
	if err != nil || len(out) <= most {
		return out, err
	}
	return s.cheapest(out, most)
}

// cheapest returns the edges that cost least, of those of one cost the first.
func (s *state) cheapest(edges []edge, most int) ([]edge, error) {
	order := make([]geometry.Half, len(edges))
	for i, e := range edges {
		order[i] = geometry.Half{Key: geometry.FloatKey(e.cost), Half: int32(i)}
	}
	if err := geometry.SortHalves(s.ctx, order); err != nil {
		return nil, err
	}
	out := make([]edge, most)
	return out, geometry.Each(s.ctx, most, func(i int) { out[i] = edges[order[i].Half] })
}

// collapse moves the first vertices of edges to their positions and merges the second into them.
func (s *state) collapse(chosen []edge) error {
	err := geometry.Each(s.ctx, len(chosen), func(i int) {
		e := chosen[i]
		s.blend(e)
		e.to.Put(s.vertices, e.a)
		s.alive[e.b] = false
		s.merge[e.b] = e.a
		if s.Optimal {
			s.quadrics[e.a] = s.quadrics[e.a].add(&s.quadrics[e.b])
		}
	})
	if err != nil {
		return err
	}
	kept := s.faces[:0]
	err = s.eachFace(func(f int) {
		a, b, c := s.merge[s.faces[f]], s.merge[s.faces[f+1]], s.merge[s.faces[f+2]]
		if a != b && b != c && c != a {
			kept = append(kept, a, b, c)
		}
	})
	s.faces = kept
	for _, e := range chosen {
		s.merge[e.b] = e.b
	}
	return err
}

// blend interpolates the color at the new position.
func (s *state) blend(e edge) {
	if s.colors == nil {
		return
	}
	pa := geometry.At(s.vertices, e.a)
	along := geometry.At(s.vertices, e.b).Sub(pa)
	t := min(max(e.to.Sub(pa).Dot(along)/(along.Dot(along)+1e-20), 0), 1)
	for k := range s.channels {
		a, b := s.channels*int(e.a)+k, s.channels*int(e.b)+k
		s.colors[a] = geometry.Mix(s.colors[a], s.colors[b], t)
	}
}
