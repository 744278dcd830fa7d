package unwrap

import (
	"cmp"
	"context"
	"math"
	"slices"

	"comfygo/internal/geometry"
)

// Weights and limits of upstream's adaptive segmentation.
const (
	normalWeight     = 2.0
	roundnessWeight  = 0.01
	straightWeight   = 6.0
	normalCutoff     = 0.707
	leastChartLimit  = 8000
	adaptiveMaxTau   = 0.5
	leastInnerRounds = 64
)

// grower grows charts from seeds over neighboring faces. Costs of faces are kept and computed anew where a chart beside them has changed.
type grower struct {
	*surface
	chart     []int32 // -1 for none yet
	axis, sum []geometry.Vec
	area, rim []float32
	border    [][]int32 // faces beside each chart; those that have joined a chart since are taken out when it is looked at
	far       *farTree

	cost    []float32 // of joining the cheapest chart, for faces beside a chart
	best    []int32   // that chart
	looked  []int32   // number of the last look at a face
	looks   int32
	waiting []int32 // faces that some tolerance lets join
	isIn    []bool  // waiting
	changed []int32 // charts that have changed since the last look
	fresh   []int32 // charts whose axis is still the normal of their seed
}

// adaptive grows charts by the normals, roundness and straightness, the cheapest faces first.
func (s *surface) adaptive(ctx context.Context, progress func(done, total int)) ([]int32, error) {
	n := s.count()
	g := &grower{surface: s, chart: make([]int32, n), cost: make([]float32, n), best: make([]int32, n), looked: make([]int32, n), isIn: make([]bool, n)}
	for f := range g.chart {
		g.chart[f] = -1
	}
	var err error
	if g.far, err = newFarTree(ctx, s); err != nil {
		return nil, err
	}
	parts := geometry.NewSets(n)
	for i, f := range s.beside {
		if f >= 0 {
			parts.Join(int32(i/3), f)
		}
	}
	for f := range int32(n) {
		if parts.Find(f) == f {
			if err := context.Cause(ctx); err != nil {
				return nil, err
			}
			g.seed(f)
		}
	}
	inner := max(leastInnerRounds, int(math.Sqrt(float64(n)))*2)
	assigned := 0
	for range n + 16 {
		for _, tau := range [4]float32{0.05, 0.1, 0.25, adaptiveMaxTau} {
			for range inner {
				if err := context.Cause(ctx); err != nil {
					return nil, err
				}
				added := g.grow(tau)
				if added == 0 {
					break
				}
				assigned += added
				progress(assigned, n)
			}
		}
		next := g.far.farthest(g.chart)
		if next < 0 || len(g.axis) >= max(n, leastChartLimit) {
			break
		}
		g.seed(next)
	}
	if err := g.adopt(ctx); err != nil {
		return nil, err
	}
	_, err = compact(ctx, g.chart)
	return g.chart, err
}

// seed begins a chart with a face.
func (g *grower) seed(f int32) {
	c := int32(len(g.axis))
	g.chart[f] = c
	normal := geometry.At(g.normals, f)
	g.axis = append(g.axis, normal)
	g.sum = append(g.sum, normal.Times(g.areas[f]))
	g.area = append(g.area, g.areas[f])
	g.rim = append(g.rim, g.lengths[3*f]+g.lengths[3*f+1]+g.lengths[3*f+2])
	g.border = append(g.border, nil)
	g.changed, g.fresh = append(g.changed, c), append(g.fresh, c)
	g.touch(f, c)
	g.far.seed(geometry.At(g.centers, f), g.chart)
}

// touch notes the faces without a chart beside a face that has joined a chart.
func (g *grower) touch(f, c int32) {
	for _, b := range g.beside[3*f : 3*f+3] {
		if b >= 0 && g.chart[b] < 0 {
			g.border[c] = append(g.border[c], b)
		}
	}
}

// look computes the costs of the faces beside charts that have changed.
func (g *grower) look() {
	g.looks++
	for _, c := range g.changed {
		kept := g.border[c][:0]
		for _, f := range g.border[c] {
			if g.chart[f] >= 0 {
				continue
			}
			kept = append(kept, f)
			if g.looked[f] == g.looks {
				continue
			}
			g.looked[f] = g.looks
			charts := g.around(f)
			best, cost := g.cheapest(f, charts)
			g.best[f], g.cost[f] = charts[best], cost
			if cost <= adaptiveMaxTau && !g.isIn[f] {
				g.isIn[f] = true
				g.waiting = append(g.waiting, f)
			}
		}
		g.border[c] = kept
	}
	g.changed = g.changed[:0]
}

// around returns the charts beyond the sides of a face, -1 for a side without a chart.
func (g *grower) around(f int32) (c [3]int32) {
	for k, b := range g.beside[3*f : 3*f+3] {
		c[k] = -1
		if b >= 0 {
			c[k] = g.chart[b]
		}
	}
	return c
}

// joining is a face that joins a chart.
type joining struct {
	face, chart int32
	before      [3]int32
}

// grow lets faces join the cheapest chart beside them, all at once, and returns how many did.
func (g *grower) grow(tau float32) int {
	g.look()
	var list []joining
	kept := g.waiting[:0]
	for _, f := range g.waiting {
		switch {
		case g.chart[f] >= 0 || !(g.cost[f] <= adaptiveMaxTau):
			g.isIn[f] = false
		case g.cost[f] <= tau:
			g.isIn[f] = false
			list = append(list, joining{f, g.best[f], g.around(f)})
		default:
			kept = append(kept, f)
		}
	}
	g.waiting = kept
	slices.SortFunc(list, func(a, b joining) int { return cmp.Compare(a.face, b.face) })
	for _, j := range list {
		g.chart[j.face] = j.chart
	}
	for _, j := range list {
		g.touch(j.face, j.chart)
		after := g.around(j.face)
		change := float32(0)
		for k, length := range g.lengths[3*j.face : 3*j.face+3] {
			switch {
			case j.before[k] == j.chart: // the side is inside now
				change -= length
			case after[k] == j.chart:
			default:
				change += length
			}
		}
		g.rim[j.chart] += change
		g.area[j.chart] += g.areas[j.face]
	}
	if len(list) == 0 {
		return 0
	}
	g.changed = append(g.changed, g.fresh...)
	for _, j := range list {
		g.sum[j.chart] = g.sum[j.chart].Add(geometry.At(g.normals, j.face).Times(g.areas[j.face]))
		g.changed = append(g.changed, j.chart)
	}
	slices.Sort(g.changed)
	g.changed = slices.Compact(g.changed)
	for _, c := range g.changed {
		if sum := g.sum[c]; sum.Len() > 1e-20 {
			g.axis[c] = sum.Unit(1e-20)
		}
	}
	g.fresh = g.fresh[:0]
	return len(list)
}

// cheapest returns the side with the chart that costs least to join.
func (g *grower) cheapest(f int32, charts [3]int32) (best int, least float32) {
	least = float32(math.Inf(1))
	normal := geometry.At(g.normals, f)
	length := g.lengths[3*f : 3*f+3]
	total := length[0] + length[1] + length[2]
	var away [3]float32
	var valid [3]bool
	for k, c := range charts {
		if c >= 0 {
			away[k] = min(max(1-normal.Dot(g.axis[c]), 0), 1)
			valid[k] = away[k] < normalCutoff
		}
	}
	for k, c := range charts {
		if !valid[k] {
			continue
		}
		inside := float32(0)
		for j, other := range charts {
			if other == c && valid[j] {
				inside += length[j]
			}
		}
		outside := total - inside
		rim := g.rim[c] - inside + outside
		round := rim * rim / max(g.area[c]+g.areas[f], 1e-20)
		roundness := float32(0)
		if g.rim[c] > 1e-20 && g.area[c] > 1e-20 && round > 1e-20 {
			roundness = 1 - (g.rim[c]*g.rim[c]/max(g.area[c], 1e-20))/max(round, 1e-20)
		}
		straight := min((outside-inside)/max(total, 1e-20), 0)
		if cost := normalWeight*away[k] + roundnessWeight*roundness + straightWeight*straight; cost < least {
			best, least = k, cost
		}
	}
	return best, least
}

// adopt assigns the remaining faces to the neighbor with the most similar normals; those without a neighbor become
// charts of their own.
func (g *grower) adopt(ctx context.Context) error {
	type adoption struct{ face, chart int32 }
	var left []int32 // faces that may have a neighbor with a chart
	for f, c := range g.chart {
		if c < 0 {
			left = append(left, int32(f))
		}
	}
	for len(left) > 0 {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		var list []adoption
		for _, f := range left {
			if g.chart[f] >= 0 {
				continue
			}
			best, least := int32(-1), float32(math.Inf(1))
			for _, other := range g.around(f) {
				if other < 0 {
					continue
				}
				if d := 1 - geometry.At(g.normals, f).Dot(g.axis[other]); d < least {
					best, least = other, d
				}
			}
			if best >= 0 {
				list = append(list, adoption{f, best})
			}
		}
		for _, a := range list {
			g.chart[a.face] = a.chart
		}
		left = left[:0]
		for _, a := range list {
			for _, b := range g.beside[3*a.face : 3*a.face+3] {
				if b >= 0 && g.chart[b] < 0 {
					left = append(left, b)
				}
			}
		}
		slices.Sort(left)
		left = slices.Compact(left)
	}
	next := int32(len(g.axis))
	for f, c := range g.chart {
		if c < 0 {
			g.chart[f] = next
			next++
		}
	}
	return nil
}
