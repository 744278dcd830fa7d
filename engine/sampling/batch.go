package sampling

import (
	"context"
	"fmt"
	"slices"

	"comfygo/engine/tensor"
)

// predict returns the prediction of each side at a sigma, in windows where the run's hooks ask for them.
func (g *guide) predict(ctx context.Context, sides [][]*entry, x *tensor.Tensor, sigma float32) ([]*tensor.Tensor, error) {
	if w := g.params.Hooks.Windows; w.active(x.Shape) {
		return g.windowed(ctx, w, sides, x, sigma)
	}
	return g.whole(ctx, sides, x, sigma)
}

// whole returns the prediction of each side: the weighted mean of its entries' predictions. The
// entries run in as few batches as Fits allows. Upstream: _calc_cond_batch.
func (g *guide) whole(ctx context.Context, sides [][]*entry, x *tensor.Tensor, sigma float32) ([]*tensor.Tensor, error) {
	if g.reuse != nil {
		g.reuse.skip = false
	}
	sums, totals := make([]*tensor.Tensor, len(sides)), make([]*tensor.Tensor, len(sides))
	for side := range sides {
		sums[side] = like(x)
		totals[side] = filled(x, 1e-37)
	}
	waiting := g.jobs(sides, x, sigma)
	for len(waiting) > 0 {
		var batch []*job
		batch, waiting = g.nextBatch(waiting)
		outputs, err := g.runBatch(ctx, batch, sigma)
		if err != nil {
			return nil, err
		}
		for i, j := range batch {
			j.area.accumulate(sums[j.side], totals[j.side], outputs[i], j.weight)
		}
	}
	for side := range sums {
		sums[side] = quotients(sums[side], totals[side])
	}
	return sums, nil
}

// jobs lists the jobs of the entries that act at a level, defaults last.
func (g *guide) jobs(sides [][]*entry, x *tensor.Tensor, sigma float32) []*job {
	var out []*job
	for side, entries := range sides {
		for _, e := range entries {
			if !e.cond.Default && e.active(sigma) {
				out = append(out, e.newJob(side, x))
			}
		}
	}
	named := out
	for side, entries := range sides {
		var rest *tensor.Tensor
		for _, e := range entries {
			if !e.cond.Default {
				continue
			}
			if rest == nil {
				rest = uncovered(named, side, x)
			}
			if rest != nil && e.active(sigma) {
				j := e.newJob(side, x)
				j.weight = j.area.cut(rest)
				out = append(out, j)
			}
		}
	}
	return out
}

// uncovered returns the rest of a weight of 1 at each cell that the jobs of a side leave, or nil if nothing is left.
func uncovered(jobs []*job, side int, x *tensor.Tensor) *tensor.Tensor {
	covered, scratch := like(x), like(x)
	for _, j := range jobs {
		if j.side == side {
			j.area.accumulate(scratch, covered, j.x, j.weight)
		}
	}
	left := false
	rest := apply(covered, func(v float32) float32 { return max(1-v, 0) })
	for _, v := range rest.Data {
		left = left || v > 0
	}
	if !left {
		return nil
	}
	return rest
}

// nextBatch removes the jobs that can run with the first one, up to the limit of memory, from the list. The order inside a
// batch is the reverse of the list's, as upstream's.
func (g *guide) nextBatch(waiting []*job) (batch, rest []*job) {
	var candidates []int
	for i := len(waiting) - 1; i >= 0; i-- {
		if waiting[i].fits(waiting[0]) {
			candidates = append(candidates, i)
		}
	}
	picked := candidates[:1]
	for parts := 1; parts <= len(candidates); parts++ {
		some := candidates[:len(candidates)/parts]
		if g.fits(waiting, some) {
			picked = some
			break
		}
	}
	taken := map[int]bool{}
	for _, i := range picked {
		batch = append(batch, waiting[i])
		taken[i] = true
	}
	for i, j := range waiting {
		if !taken[i] {
			rest = append(rest, j)
		}
	}
	return batch, rest
}

func (g *guide) fits(waiting []*job, indices []int) bool {
	if g.params.Fits == nil || len(indices) == 0 {
		return len(indices) > 0
	}
	shape := append([]int(nil), waiting[indices[0]].x.Shape...)
	shape[0] *= len(indices)
	tokens := 1
	for _, i := range indices {
		if c := lookUp(waiting[i].inputs, InputContext); c != nil {
			tokens = lcm(tokens, c.Dim(1))
		}
	}
	return g.params.Fits(shape, tokens)
}

// outputs runs the network, or the substitute for its outputs.
func (g *guide) outputs(ctx context.Context, batch []*job, x *tensor.Tensor, times []float32, in Inputs) (*tensor.Tensor, error) {
	run := func(ctx context.Context) (*tensor.Tensor, error) { return g.params.Network.Predict(ctx, x, times, in) }
	keys := make([]*entry, len(batch))
	for i, j := range batch {
		keys[i] = j.entry
		known := slices.ContainsFunc(g.sides, func(side []*entry) bool { return slices.Contains(side, j.entry) })
		if g.reuse == nil || g.reuse.guided || !known { // the requests in between differ each time
			return run(ctx)
		}
	}
	return g.reuse.around(ctx, in.Sigma, x, keys, run)
}

// runBatch runs the network once for several jobs and returns each one's denoised latent.
func (g *guide) runBatch(ctx context.Context, batch []*job, sigma float32) ([]*tensor.Tensor, error) {
	xs, inputs, negative := make([]*tensor.Tensor, len(batch)), make([][]Input, len(batch)), make([]bool, len(batch))
	for i, j := range batch {
		xs[i], inputs[i], negative[i] = j.x, j.inputs, j.side == 1
	}
	x := joinRows(xs)
	if g.first != nil {
		var err error
		if x, err = beginning(x, g.first); err != nil {
			return nil, err
		}
	}
	times := make([]float32, x.Dim(0))
	for i := range times {
		times[i] = g.model.Timestep(sigma)
	}
	in := Inputs{Control: batch[0].control, Sigma: sigma, Next: next(g.sigmas, sigma), Entries: len(batch), Negative: negative, Random: g.random, State: g.state, List: joinInputs(inputs), Parts: g.params.parts, Options: g.params.Options}
	if hooks := batch[0].entry.cond.Hooks; len(hooks) > 0 {
		in.Hooks = g.hooks.apply(g.model, g.sigmas, hooks, sigma)
	}
	raw, err := g.outputs(ctx, batch, g.model.Input(sigma, x), times, in)
	if err != nil {
		return nil, fmt.Errorf("running the model: %w", err)
	}
	if !tensor.SameShape(raw, x) {
		return nil, fmt.Errorf("running the model: it returned shape %v for latents of shape %v", raw.Shape, x.Shape)
	}
	if err := g.checkFinite("the model's output", raw); err != nil {
		return nil, err
	}
	denoised := g.model.Denoised(sigma, raw, x)
	out := make([]*tensor.Tensor, len(batch))
	rows := x.Dim(0) / len(batch)
	for i := range out {
		out[i] = denoised.Slice(i*rows, (i+1)*rows)
	}
	return out, nil
}

// next returns the sigma after the given one in a schedule, or nil if the schedule does not contain it.
func next(sigmas []float32, sigma float32) *float32 {
	if i := slices.Index(sigmas, sigma); i >= 0 && i+1 < len(sigmas) {
		return &sigmas[i+1]
	}
	return nil
}
