package unwrap

import (
	"context"
	"math"

	"comfygo/internal/geometry"
)

// farTree finds the face without a chart that is farthest from all seeds. It halves the faces by their centers; each node bounds the distances of its
// faces from above, so that a seed changes only the nodes near it.
type farTree struct {
	*surface
	order    []int32   // faces by leaves
	distance []float32 // squared, of each face to the nearest seed
	nodes    []farNode
}

// farNode has the children 2i+1 and 2i+2, or is a leaf.
type farNode struct {
	lo, hi   [3]float32
	from, to int32
	most     float32 // no face without a chart is farther
	leaf     bool
}

// leafFaces is the number of faces up to which a node is not divided.
const leafFaces = 64

func newFarTree(ctx context.Context, s *surface) (*farTree, error) {
	n := s.count()
	t := &farTree{surface: s, order: make([]int32, n), distance: make([]float32, n)}
	for f := range t.order {
		t.order[f], t.distance[f] = int32(f), float32(math.Inf(1))
	}
	size := 1
	for leaves := n; leaves > leafFaces; leaves = (leaves + 1) / 2 {
		size = 2*size + 1
	}
	t.nodes = make([]farNode, size)
	return t, t.build(ctx, 0, 0, n)
}

func (t *farTree) build(ctx context.Context, at, from, to int) error {
	part := t.order[from:to]
	node := &t.nodes[at]
	*node = farNode{from: int32(from), to: int32(to), most: float32(math.Inf(1)), leaf: len(part) <= leafFaces || 2*at+2 >= len(t.nodes)}
	node.lo, node.hi = t.bounds(part)
	if node.leaf {
		return nil
	}
	if err := t.sortAlong(ctx, part, longest(node.lo, node.hi)); err != nil {
		return err
	}
	half := (from + to + 1) / 2
	if err := t.build(ctx, 2*at+1, from, half); err != nil {
		return err
	}
	return t.build(ctx, 2*at+2, half, to)
}

// seed lowers the distances of the faces without a chart around a new seed.
func (t *farTree) seed(center geometry.Vec, chart []int32) {
	if len(t.order) > 0 {
		t.lower(0, center, chart)
	}
}

func (t *farTree) lower(at int, center geometry.Vec, chart []int32) {
	node := &t.nodes[at]
	const rounding = 1e-4 // of distances in float32
	if node.near(center)*(1-rounding) > float64(node.most) {
		return
	}
	if !node.leaf {
		t.lower(2*at+1, center, chart)
		t.lower(2*at+2, center, chart)
		node.most = max(t.nodes[2*at+1].most, t.nodes[2*at+2].most)
		return
	}
	node.most = float32(math.Inf(-1))
	for _, f := range t.order[node.from:node.to] {
		if chart[f] >= 0 {
			continue
		}
		d := geometry.At(t.centers, f).Sub(center)
		t.distance[f] = min(t.distance[f], d.Dot(d))
		node.most = max(node.most, t.distance[f])
	}
}

// near is the square of the distance from a point to the node's bounds.
func (n *farNode) near(p geometry.Vec) (sum float64) {
	for k, v := range p {
		d := max(float64(n.lo[k])-float64(v), float64(v)-float64(n.hi[k]), 0)
		sum += d * d
	}
	return sum
}

// farthest returns the face without a chart that is farthest from all seeds, the first of several, or -1.
func (t *farTree) farthest(chart []int32) int32 {
	best := int32(-1)
	if len(t.order) > 0 {
		t.search(0, chart, &best)
	}
	return best
}

// search looks for a face that is farther than the best one so far, or as far and before it.
func (t *farTree) search(at int, chart []int32, best *int32) {
	node := &t.nodes[at]
	if *best >= 0 && !(node.most >= t.distance[*best]) || math.IsInf(float64(node.most), -1) {
		return
	}
	if !node.leaf {
		first, second := 2*at+1, 2*at+2
		if t.nodes[second].most > t.nodes[first].most {
			first, second = second, first
		}
		t.search(first, chart, best)
		t.search(second, chart, best)
		node.most = max(t.nodes[first].most, t.nodes[second].most)
		return
	}
	node.most = float32(math.Inf(-1))
	for _, f := range t.order[node.from:node.to] {
		if chart[f] >= 0 {
			continue
		}
		d := t.distance[f]
		node.most = max(node.most, d)
		if *best < 0 || d > t.distance[*best] || d == t.distance[*best] && f < *best {
			*best = f
		}
	}
}
