package sampling

import (
	"math"
	"sync"

	"comfygo/engine/tensor"
	"comfygo/engine/vec"
)

const (
	// aheadSpans is the number of increments that are drawn at a time: each shares an end with the next, and the way down to a
	// time is most of the work.
	aheadSpans = 4
	// aheadBytes limits the memory of such increments; the same amount waits for requests.
	aheadBytes = 32 << 20
)

// brownianPath is noise that belongs together over a whole run: the increments of one Brownian path between sigmas,
// each scaled to unit variance. A finer schedule so follows the same path. Upstream: BrownianTreeNoiseSampler.
//
// What the run will ask for is drawn ahead, while the network is at work.
type brownianPath struct {
	shape []int
	tree  *brownianTree
	plan  []span // planned increments, by sigmas

	ahead chan []float32
	stop  chan struct{}
	done  sync.WaitGroup
}

// newBrownianPath begins to draw the increments of plan, pairs of sigmas in the order of the requests. The path must be closed.
func newBrownianPath(shape []int, sigmas []float32, seed uint64, plan []span) *brownianPath {
	low, high := float32(math.Inf(1)), float32(0)
	for _, s := range sigmas {
		if s > 0 {
			low = min(low, s)
		}
		high = max(high, s)
	}
	n := tensor.Count(shape)
	atOnce := max(1, min(aheadSpans, aheadBytes/(4*n)))
	p := &brownianPath{
		shape: append([]int(nil), shape...), plan: plan, tree: newBrownianTree(low, high, n, seed),
		ahead: make(chan []float32, atOnce), stop: make(chan struct{}),
	}
	p.done.Go(func() { p.draw(plan, atOnce) })
	return p
}

// draw makes the increments of the plan in batches and delivers them one by one.
func (p *brownianPath) draw(plan []span, atOnce int) {
	for len(plan) > 0 {
		some := plan[:min(atOnce, len(plan))]
		plan = plan[len(some):]
		ordered := make([]span, len(some))
		for i, s := range some {
			ordered[i] = s.ordered()
		}
		for _, increment := range p.tree.between(ordered, p.stop) {
			select {
			case p.ahead <- increment:
			case <-p.stop:
				return
			}
		}
	}
}

func (s span) ordered() span { return span{min(s.from, s.to), max(s.from, s.to)} }

// close ends the drawing and waits for it.
func (p *brownianPath) close() {
	close(p.stop)
	p.done.Wait()
}

// noise is a NoiseSource. What was not planned is drawn at once.
func (p *brownianPath) noise(sigma, next float32) *tensor.Tensor {
	asked := span{sigma, next}
	out := &tensor.Tensor{Shape: append([]int(nil), p.shape...)}
	if len(p.plan) > 0 && p.plan[0] == asked {
		p.plan, out.Data = p.plan[1:], <-p.ahead
	} else {
		out.Data = p.tree.between([]span{asked.ordered()}, nil)[0]
	}
	if sigma == next {
		return out
	}
	scale := sqrt32(abs32(next - sigma))
	if sigma >= next {
		scale = -scale
	}
	vec.Divide(out.Data, out.Data, scale)
	return out
}
