package unwrap

import (
	"context"
	"math"

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

// grower grows charts from seeds over neighboring faces.
type grower struct {
	*surface
	chart     []int32 // -1 for none yet
	frontier  []bool
	axis, sum []geometry.Vec
	area, rim []float32
	distance  []float32 // squared, to the nearest seed
}

// adaptive grows charts by the normals, roundness and straightness, the cheapest faces first.
func (s *surface) adaptive(ctx context.Context, progress func(done, total int)) ([]int32, error) {
	n := s.count()
	g := &grower{surface: s, chart: make([]int32, n), frontier: make([]bool, n), distance: make([]float32, n)}
	for f := range g.chart {
		g.chart[f], g.distance[f] = -1, float32(math.Inf(1))
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
		next := g.farthest()
		if next < 0 || len(g.axis) >= max(n, leastChartLimit) {
			break
		}
		g.seed(next)
	}
	g.adopt()
	compact(g.chart)
	return g.chart, nil
}

// seed begins a chart with a face.
func (g *grower) seed(f int32) {
	g.chart[f] = int32(len(g.axis))
	normal := geometry.At(g.normals, f)
	g.axis = append(g.axis, normal)
	g.sum = append(g.sum, normal.Times(g.areas[f]))
	g.area = append(g.area, g.areas[f])
	g.rim = append(g.rim, g.lengths[3*f]+g.lengths[3*f+1]+g.lengths[3*f+2])
	g.frontier[f] = false
	for _, b := range g.beside[3*f : 3*f+3] {
		if b >= 0 && g.chart[b] < 0 {
			g.frontier[b] = true
		}
	}
	center := geometry.At(g.centers, f)
	for i := range g.distance {
		d := geometry.At(g.centers, int32(i)).Sub(center)
		g.distance[i] = min(g.distance[i], d.Dot(d))
	}
}

// farthest returns the face without a chart that is farthest from all seeds, or -1.
func (g *grower) farthest() int32 {
	best := int32(-1)
	for f, c := range g.chart {
		if c < 0 && (best < 0 || g.distance[f] > g.distance[best]) {
			best = int32(f)
		}
	}
	return best
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

// grow lets faces at the frontier join the cheapest chart beside them, all at once, and returns how many did.
func (g *grower) grow(tau float32) int {
	var list []joining
	for f, at := range g.frontier {
		if !at {
			continue
		}
		charts := g.around(int32(f))
		if best, cost := g.cheapest(int32(f), charts); cost <= tau {
			list = append(list, joining{int32(f), charts[best], charts})
		}
	}
	for _, j := range list {
		g.chart[j.face] = j.chart
		g.frontier[j.face] = false
	}
	for _, j := range list {
		after := g.around(j.face)
		for k, b := range g.beside[3*j.face : 3*j.face+3] {
			if b >= 0 && after[k] < 0 {
				g.frontier[b] = true
			}
		}
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
	for _, j := range list {
		g.sum[j.chart] = g.sum[j.chart].Add(geometry.At(g.normals, j.face).Times(g.areas[j.face]))
	}
	if len(list) > 0 {
		for c, sum := range g.sum {
			if sum.Len() > 1e-20 {
				g.axis[c] = sum.Unit(1e-20)
			}
		}
	}
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
func (g *grower) adopt() {
	for {
		type adoption struct{ face, chart int32 }
		var list []adoption
		for f, c := range g.chart {
			if c >= 0 {
				continue
			}
			best, least := int32(-1), float32(math.Inf(1))
			for _, other := range g.around(int32(f)) {
				if other < 0 {
					continue
				}
				if d := 1 - geometry.At(g.normals, int32(f)).Dot(g.axis[other]); d < least {
					best, least = other, d
				}
			}
			if best >= 0 {
				list = append(list, adoption{int32(f), best})
			}
		}
		if len(list) == 0 {
			break
		}
		for _, a := range list {
			g.chart[a.face] = a.chart
		}
	}
	next := int32(len(g.axis))
	for f, c := range g.chart {
		if c < 0 {
			g.chart[f] = next
			next++
		}
	}
}
