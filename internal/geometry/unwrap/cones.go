package unwrap

import (
	"context"
	"math"

	"comfygo/internal/geometry"
)

// cone has the normals of a chart: their axis and the largest angle to it.
type cone struct {
	axis geometry.Vec
	half float32
}

// join returns the cone of two.
func (a cone) join(b cone) cone {
	cos := min(max(a.axis.Dot(b.axis), -1), 1)
	angle := acos(cos)
	low, high := min(-a.half, angle-b.half), max(a.half, angle+b.half)
	turn := (high + low) * 0.5
	side := b.axis.Sub(a.axis.Times(cos)).Unit(1e-12)
	axis := a.axis.Times(float32(math.Cos(float64(turn)))).Add(side.Times(float32(math.Sin(float64(turn)))))
	return cone{axis.Unit(1e-12), (high - low) * 0.5}
}

func acos(x float32) float32 { return float32(math.Acos(float64(x))) }

// Constants of upstream's parallel clustering.
const (
	maxCone       = 1.0
	maxRounds     = 1024
	minFaces      = 8
	mergeRounds   = 16
	costScale     = 1e6
	largestCost   = 2e9
	noEdge        = uint64(1) << 62
	relaxedFactor = 2
)

// neighbors lists the pairs of charts that touch, sorted, each once.
func (s *surface) neighbors(ctx context.Context, chart []int32) ([]geometry.Half, error) {
	var pairs []geometry.Half
	err := geometry.Each(ctx, len(s.beside), func(i int) {
		f := s.beside[i]
		if f < 0 {
			return
		}
		if a, b := chart[i/3], chart[f]; a != b {
			pairs = append(pairs, geometry.Half{Key: geometry.EdgeKey(a, b), Half: int32(i)})
		}
	})
	if err != nil {
		return nil, err
	}
	if err := geometry.SortHalves(ctx, pairs); err != nil {
		return nil, err
	}
	unique := pairs[:0]
	err = geometry.EachEdge(ctx, pairs, func(group []geometry.Half) { unique = append(unique, group[0]) })
	return unique, err
}

// wholeCost is a cost in the steps in which costs are compared.
func wholeCost(cost float32) uint32 { return uint32(int64(min(cost*costScale, largestCost))) }

// costKey orders edges by cost, then by number.
func costKey(cost float32, edge int) uint64 {
	return uint64(wholeCost(cost))<<32 | uint64(edge)
}

// parallel joins pairs of charts that are each other's cheapest neighbors, round by round, until their cones become too wide.
func (s *surface) parallel(ctx context.Context, progress func(done, total int)) ([]int32, error) {
	j, err := newJoiner(ctx, s)
	if err != nil {
		return nil, err
	}
	n := s.count()
	left := n
	for range maxRounds {
		merges, err := j.round(ctx)
		if err != nil {
			return nil, err
		}
		if merges == 0 {
			break
		}
		left -= merges
		progress(n-left, n)
	}
	if err := geometry.Each(ctx, n, func(f int) { j.of[f] = j.find(int32(f)) }); err != nil {
		return nil, err
	}
	return s.absorb(ctx, j.of)
}

// absorb joins small charts to their cheapest neighbors.
func (s *surface) absorb(ctx context.Context, chart []int32) ([]int32, error) {
	for range mergeRounds {
		n := 0
		for _, c := range chart {
			n = max(n, int(c)+1)
		}
		cones, size, err := s.chartCones(ctx, chart, n)
		if err != nil {
			return nil, err
		}
		pairs, err := s.neighbors(ctx, chart)
		if err != nil {
			return nil, err
		}
		cheapest := make([]uint64, n)
		for i := range cheapest {
			cheapest[i] = noEdge
		}
		err = geometry.Each(ctx, len(pairs), func(i int) {
			a, b := pairs[i].Ends()
			half := cones[a].join(cones[b]).half
			if !(half <= relaxedFactor*maxCone) {
				return
			}
			for _, c := range [2]int32{a, b} {
				if size[c] < minFaces {
					cheapest[c] = min(cheapest[c], costKey(half, i))
				}
			}
		})
		if err != nil {
			return nil, err
		}
		moved, err := redirect(ctx, chart, pairs, cheapest)
		if err != nil {
			return nil, err
		}
		if !moved {
			break
		}
		if _, err := compact(ctx, chart); err != nil {
			return nil, err
		}
	}
	_, err := compact(ctx, chart)
	return chart, err
}

// chartCones computes the cones of charts anew, around the means of their normals by area.
func (s *surface) chartCones(ctx context.Context, chart []int32, n int) (cones []cone, size []int, err error) {
	cones, size = make([]cone, n), make([]int, n)
	for _, step := range []struct {
		n  int
		do func(i int)
	}{
		{len(chart), func(f int) {
			c := chart[f]
			size[c]++
			cones[c].axis = cones[c].axis.Add(geometry.At(s.normals, int32(f)).Times(s.areas[f]))
		}},
		{n, func(c int) { cones[c].axis = cones[c].axis.Unit(1e-12) }},
		{len(chart), func(f int) {
			c := chart[f]
			away := acos(min(max(geometry.At(s.normals, int32(f)).Dot(cones[c].axis), -1), 1))
			cones[c].half = max(cones[c].half, away)
		}},
	} {
		if err := geometry.Each(ctx, step.n, step.do); err != nil {
			return nil, nil, err
		}
	}
	return cones, size, nil
}

// redirect moves the faces of charts with a cheapest pair to the other chart of the pair, and reports whether there were any. Of two charts
// that would move to each other that with the larger number moves.
func redirect(ctx context.Context, chart []int32, pairs []geometry.Half, cheapest []uint64) (any bool, err error) {
	wish, to := make([]int32, len(cheapest)), make([]int32, len(cheapest))
	err = geometry.Each(ctx, len(cheapest), func(c int) {
		wish[c], to[c] = int32(c), int32(c)
		if key := cheapest[c]; key != noEdge {
			any = true
			a, b := pairs[key&0xffffffff].Ends()
			wish[c] = a + b - int32(c)
		}
	})
	if err != nil {
		return false, err
	}
	for c, t := range wish {
		if t != int32(c) && (wish[t] == t || int32(c) > t) {
			to[c] = t
		}
	}
	return any, geometry.Each(ctx, len(chart), func(i int) {
		c := chart[i]
		for to[c] != c { // halved on the way: chains can be as long as there are charts
			to[c] = to[to[c]]
			c = to[c]
		}
		chart[i] = c
	})
}
