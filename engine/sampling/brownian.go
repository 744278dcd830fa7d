package sampling

import (
	"math"
	"strconv"
	"sync"
)

// brownianTree is a Brownian path drawn on demand: intervals are halved, each half's increment drawn given the whole one's
// (a Brownian bridge) from a seed that belongs to its place in the tree. Upstream: torchsde.BrownianTree with its defaults
// (Li et al., "Scalable Gradients for Stochastic Differential Equations").
type brownianTree struct {
	n    int
	seed uint64
	root *interval
	// whole is the root's increment, the only one that is kept.
	whole []float32

	mu   sync.Mutex // guards what follows and the intervals
	work bridges
}

// interval is a node of the tree. Its bounds are rounded to six decimals, as all times are.
type interval struct {
	start, end, mid float64
	parent          *interval
	isLeft          bool
	left, right     *interval // nil until it is halved
	key             uint64
	depth           uint32
	seed            uint64
	// bridge is the place of the halves' increments among those being drawn, counted from 1; 0: they are not.
	bridge int
}

func newBrownianTree(low, high float32, n int, seed uint64) *brownianTree {
	t := &brownianTree{n: n, seed: seed, root: &interval{start: round6(float64(low)), end: round6(float64(high))}}
	t.whole = make([]float32, n)
	NewGenerator(uint64(seedWords(seed, nil, 3)[0])).Randn(t.whole)
	scale := float32(math.Sqrt(float64(high) - float64(low)))
	for i := range t.whole {
		t.whole[i] *= scale
	}
	return t
}

// round6 is Python's round(x, 6).
func round6(x float64) float64 {
	r, err := strconv.ParseFloat(strconv.FormatFloat(x, 'f', 6, 64), 64)
	if err != nil {
		return x
	}
	return r
}

// span is a stretch of the path's time.
type span struct{ from, to float32 }

// between returns the path's increments over some spans; an empty one has none. Spans that share ends cost less together
// than one by one. It ends early, with an unusable result, when stop closes.
func (t *brownianTree) between(spans []span, stop <-chan struct{}) [][]float32 {
	t.mu.Lock()
	defer t.mu.Unlock()
	covers, out := make([][]*interval, len(spans)), make([][]float32, len(spans))
	for i, s := range spans {
		out[i] = make([]float32, t.n)
		if a, b := max(round6(float64(s.from)), t.root.start), min(round6(float64(s.to)), t.root.end); a < b {
			covers[i] = t.cover(nil, t.root, a, b)
		}
	}
	t.work.draw(t, covers, out, stop)
	return out
}

// cover lists the nodes below x that make up the interval from a to b, splitting where there are none yet.
func (t *brownianTree) cover(out []*interval, x *interval, a, b float64) []*interval {
	if a == x.start && b == x.end {
		return append(out, x)
	}
	if x.left == nil {
		at := a
		if a == x.start {
			at = b
		}
		t.splitUntil(x, at)
	}
	if b <= x.mid {
		return t.cover(out, x.left, a, b)
	}
	if a >= x.mid {
		return t.cover(out, x.right, a, b)
	}
	return t.cover(t.cover(out, x.left, a, x.mid), x.right, x.mid, b)
}

// splitUntil halves x and then the half that holds the time at, until at is a border.
func (t *brownianTree) splitUntil(x *interval, at float64) {
	for {
		t.halve(x)
		switch {
		case at > x.mid && x.right.start < at && at < x.right.end:
			x = x.right
		case at < x.mid && x.left.start < at && at < x.left.end:
			x = x.left
		default:
			return
		}
	}
}

func (t *brownianTree) halve(x *interval) {
	x.mid = round6(0.5 * (x.end + x.start))
	if x.parent != nil {
		x.key, x.depth = 2*x.parent.key, x.parent.depth+1
		if !x.isLeft {
			x.key++
		}
	}
	spawn := []uint32{uint32(x.key)}
	if high := uint32(x.key >> 32); high != 0 {
		spawn = append(spawn, high)
	}
	x.seed = uint64(seedWords(t.seed, append(spawn, x.depth), 4)[0])
	x.left = &interval{start: x.start, end: x.mid, parent: x, isLeft: true}
	x.right = &interval{start: x.mid, end: x.end, parent: x}
}
