package unwrap

import (
	"context"

	"comfygo/internal/geometry"
)

// joiner joins charts round by round. It keeps the cheapest neighbor of each chart and looks again only at charts that were joined and at
// their neighbors, so that the work of a round follows what has changed and not the size of the mesh.
type joiner struct {
	*surface
	of       []int32 // chart into which a chart was joined, itself while it exists; a chart has the number of its first face
	cones    []cone
	next     []int32 // next side of the chart, in a ring of its sides; sides without use are taken out
	first    []int32 // one side of the chart, -1 if no side has a neighbor
	cost     []uint32
	cheapest []int32 // neighbor of each chart, -1 for none
	joined   []int32 // round in which a chart was joined last
	seen     []int32 // number of the last walk that met a chart
	walks    int32
	rounds   int32
	dirty    []int32 // charts to look at again
	queued   []int32 // round for which a chart is in dirty
}

func newJoiner(ctx context.Context, s *surface) (*joiner, error) {
	n := s.count()
	j := &joiner{
		surface: s, of: make([]int32, n), cones: make([]cone, n), next: make([]int32, 3*n), first: make([]int32, n), cost: make([]uint32, 3*n),
		cheapest: make([]int32, n), joined: make([]int32, n), seen: make([]int32, n), dirty: make([]int32, n), queued: make([]int32, n),
	}
	for f := range int32(n) {
		if f%interval == 0 {
			if err := context.Cause(ctx); err != nil {
				return nil, err
			}
		}
		j.of[f], j.dirty[f], j.first[f] = f, f, -1
		j.cones[f].axis[0], j.cones[f].axis[1], j.cones[f].axis[2] = s.normals[3*f], s.normals[3*f+1], s.normals[3*f+2]
		for side := 3 * f; side < 3*f+3; side++ {
			switch first := j.first[f]; {
			case s.beside[side] < 0:
			case first < 0:
				j.first[f], j.next[side] = side, side
			default:
				j.next[side], j.next[first] = j.next[first], side
			}
		}
	}
	return j, nil
}

// find returns the chart that a chart has become.
func (j *joiner) find(c int32) int32 {
	for j.of[c] != c {
		j.of[c] = j.of[j.of[c]]
		c = j.of[c]
	}
	return c
}

// eachNeighbor calls a function with one side and the chart beyond it for each neighbor of a chart. Sides within the chart and further sides
// of a neighbor are taken out for good: charts that touch go on touching.
func (j *joiner) eachNeighbor(c int32, visit func(side, other int32)) {
	start := j.first[c]
	if start < 0 {
		return
	}
	j.walks++
	kept, last := int32(-1), int32(-1)
	for side := start; ; {
		after := j.next[side]
		if other := j.find(j.beside[side]); other != c && j.seen[other] != j.walks {
			j.seen[other] = j.walks
			if kept < 0 {
				kept = side
			} else {
				j.next[last] = side
			}
			last = side
			visit(side, other)
		}
		if after == start {
			break
		}
		side = after
	}
	j.first[c] = kept
	if kept >= 0 {
		j.next[last] = kept
	}
}

// interval is the number of charts after which an interrupt is looked for.
const interval = 1 << 14

// round joins all pairs that are each other's cheapest neighbors and returns how many there were.
func (j *joiner) round(ctx context.Context) (merges int, err error) {
	for i, c := range j.dirty {
		if i%interval == 0 {
			if err := context.Cause(ctx); err != nil {
				return 0, err
			}
		}
		j.look(c)
	}
	j.rounds++
	var pairs [][2]int32
	err = geometry.Each(ctx, len(j.dirty), func(i int) {
		c := j.dirty[i]
		d := j.cheapest[c]
		if d < 0 || j.cheapest[d] != c || c > d && j.queued[d] == j.rounds-1 { // the pair comes by its other chart
			return
		}
		pairs = append(pairs, [2]int32{min(c, d), max(c, d)})
	})
	if err != nil {
		return 0, err
	}
	kept := pairs[:0]
	err = geometry.Each(ctx, len(pairs), func(i int) {
		p := pairs[i]
		if cone := j.cones[p[0]].join(j.cones[p[1]]); !(cone.half > maxCone) {
			j.cones[p[0]] = cone
			j.merge(p[0], p[1])
			kept = append(kept, p)
		}
	})
	if err != nil {
		return 0, err
	}
	j.dirty = j.dirty[:0]
	for i, p := range kept {
		if i%interval == 0 {
			if err := context.Cause(ctx); err != nil {
				return 0, err
			}
		}
		j.queue(p[0])
		j.eachNeighbor(p[0], func(_, other int32) { j.queue(other) })
	}
	return len(kept), nil
}

// look finds the cheapest neighbor of a chart. Costs of pairs that have not changed are known.
func (j *joiner) look(c int32) {
	best, least := int32(-1), uint64(0)
	bestCost := uint32(0)
	j.eachNeighbor(c, func(side, other int32) {
		a, b := min(c, other), max(c, other)
		if j.rounds == 0 || j.joined[c] == j.rounds || j.joined[other] == j.rounds {
			j.cost[side] = wholeCost(j.cones[a].join(j.cones[b]).half)
		}
		pair := uint64(a)<<32 | uint64(b)
		if cost := j.cost[side]; best < 0 || cost < bestCost || cost == bestCost && pair < least {
			best, bestCost, least = other, cost, pair
		}
	})
	j.cheapest[c] = best
}

// merge makes chart b a part of chart a.
func (j *joiner) merge(a, b int32) {
	j.of[b], j.joined[a] = a, j.rounds
	switch p, q := j.first[a], j.first[b]; {
	case p < 0:
		j.first[a] = q
	case q >= 0:
		j.next[p], j.next[q] = j.next[q], j.next[p]
	}
}

// queue has a chart looked at in the next round.
func (j *joiner) queue(c int32) {
	if j.queued[c] != j.rounds {
		j.queued[c] = j.rounds
		j.dirty = append(j.dirty, c)
	}
}
