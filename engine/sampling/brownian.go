package sampling

import (
	"math"
	"strconv"

	"comfygo/engine/tensor"
)

// brownianNoise returns noise that belongs together over a whole run: the increments of one Brownian path between noise
// levels, each scaled to unit variance. A finer schedule so follows the same path. Upstream: BrownianTreeNoiseSampler.
func brownianNoise(shape []int, sigmas []float32, seed uint64) NoiseSource {
	low, high := float32(math.Inf(1)), float32(0)
	for _, s := range sigmas {
		if s > 0 {
			low = min(low, s)
		}
		high = max(high, s)
	}
	tree := newBrownianTree(low, high, tensor.Count(shape), seed)
	return func(sigma, next float32) *tensor.Tensor {
		out := &tensor.Tensor{Shape: append([]int(nil), shape...), Data: tree.between(min(sigma, next), max(sigma, next))}
		if sigma == next {
			return out
		}
		scale := sqrt32(abs32(next - sigma))
		sign := float32(1)
		if sigma >= next {
			sign = -1
		}
		for i, v := range out.Data {
			out.Data[i] = v * sign / scale
		}
		return out
	}
}

// brownianTree is a Brownian path drawn where it is asked for: intervals are halved, each half's increment drawn given
// the whole one's (a Brownian bridge) from a seed that belongs to its place in the tree. Upstream: torchsde.BrownianTree
// with its defaults (Li et al., "Scalable Gradients for Stochastic Differential Equations").
type brownianTree struct {
	n     int
	seed  uint64
	root  *interval
	query int
	live  []*interval // those with an increment, but for the root
}

// interval is a node of the tree. Its bounds are rounded to six decimals, as all times are.
type interval struct {
	start, end, mid float64
	split           bool
	parent          *interval
	isLeft          bool
	left, right     *interval
	key             uint64
	depth           uint32
	seed            uint64
	increment       []float32
	used            int
}

func newBrownianTree(low, high float32, n int, seed uint64) *brownianTree {
	t := &brownianTree{n: n, seed: seed, root: &interval{start: round6(float64(low)), end: round6(float64(high))}}
	t.root.increment = make([]float32, n)
	NewGenerator(uint64(seedWords(seed, nil, 3)[0])).Randn(t.root.increment)
	scale := float32(math.Sqrt(float64(high) - float64(low)))
	for i := range t.root.increment {
		t.root.increment[i] *= scale
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

// between returns the path's increment between two times. An empty interval has none.
func (t *brownianTree) between(from, to float32) []float32 {
	a, b := max(round6(float64(from)), t.root.start), min(round6(float64(to)), t.root.end)
	total := make([]float32, t.n)
	if !(a < b) {
		return total
	}
	t.query++
	for k, x := range t.cover(nil, t.root, a, b) {
		for i, v := range t.incrementOf(x) {
			if k == 0 {
				total[i] = v
			} else {
				total[i] += v
			}
		}
	}
	t.forget()
	return total
}

// forget drops increments that neither this query nor the last one used; they can be drawn again.
func (t *brownianTree) forget() {
	kept := t.live[:0]
	for _, x := range t.live {
		if x.used >= t.query-1 {
			kept = append(kept, x)
		} else {
			x.increment = nil
		}
	}
	t.live = kept
}

// cover lists the nodes below x that make up the interval from a to b, splitting where there are none yet.
func (t *brownianTree) cover(out []*interval, x *interval, a, b float64) []*interval {
	if a == x.start && b == x.end {
		return append(out, x)
	}
	if !x.split {
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
	mid := 0.5 * (x.end + x.start)
	x.mid, x.split = round6(mid), true
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

// incrementOf returns the path's increment over a node, drawing it if needed.
func (t *brownianTree) incrementOf(x *interval) []float32 {
	x.used = t.query
	if x.increment != nil {
		return x.increment
	}
	p := x.parent
	whole := t.incrementOf(p)
	x.increment = make([]float32, t.n)
	NewGenerator(p.seed).Randn(x.increment)
	left, right, inverse := p.mid-p.start, p.end-p.mid, 1/(p.end-p.start)
	mean, share, spread := float32(inverse), float32(left), float32(math.Sqrt(left*right*inverse))
	for i, w := range whole {
		v := float32(mean*float32(share*w)) + float32(spread*x.increment[i])
		if !x.isLeft {
			v = w - v
		}
		x.increment[i] = v
	}
	t.live = append(t.live, x)
	return x.increment
}
