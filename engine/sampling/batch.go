package sampling

import (
	"context"
	"fmt"
	"slices"

	"comfygo/engine/tensor"
	"comfygo/internal/protect"
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
	err := g.runJobs(ctx, g.jobs(sides, x, sigma), sigma, func(j *job, y *tensor.Tensor) {
		j.area.accumulate(sums[j.side], totals[j.side], y, j.weight)
	})
	if err != nil {
		return nil, err
	}
	for side := range sums {
		sums[side] = quotients(sums[side], totals[side])
	}
	return sums, nil
}

// runJobs runs jobs in batches, and calls done with the denoised latent of each, batch by batch. A network on several devices has each run an equal
// number of jobs, at once. Upstream: _calc_cond_batch_multigpu.
func (g *guide) runJobs(ctx context.Context, waiting []*job, sigma float32, done func(*job, *tensor.Tensor)) error {
	networks := g.networks(len(waiting))
	share := (len(waiting) + len(networks) - 1) / len(networks)
	var all []*batchRun
	lists := make([][]*batchRun, len(networks))
	at, room := 0, share
	for len(waiting) > 0 {
		r := &batchRun{network: networks[at]}
		r.jobs, waiting = g.nextBatch(waiting, room)
		if len(networks) == 1 { // the memory that a batch leaves decides about the next one
			if err := g.runBatch(ctx, r, sigma); err != nil {
				return err
			}
			r.report(done)
			continue
		}
		if err := g.join(r, sigma); err != nil {
			return err
		}
		all, lists[at] = append(all, r), append(lists[at], r)
		if room -= len(r.jobs); room == 0 {
			at, room = at+1, share
		}
	}
	if len(networks) == 1 {
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var running protect.Group
	for _, list := range lists {
		running.Go(func() error {
			err := protect.Call(func() error { return g.finishAll(ctx, list, sigma) })
			if err != nil {
				cancel(err) // the others end
			}
			return err
		})
	}
	if err := running.Wait(); err != nil {
		return context.Cause(ctx)
	}
	for _, r := range all {
		r.report(done)
	}
	return nil
}

// finishAll runs the network of one device for its batches.
func (g *guide) finishAll(ctx context.Context, list []*batchRun, sigma float32) error {
	for _, r := range list {
		if err := g.finish(ctx, r, sigma); err != nil {
			return err
		}
	}
	return nil
}

// networks lists the network on the devices that a number of jobs is shared out to. Step caches, which compare one call with the call before, keep
// to one device, and so do options that are Sequential.
func (g *guide) networks(jobs int) []Network {
	s, ok := g.params.Network.(Spread)
	if !ok || g.reuse != nil {
		return []Network{g.params.Network}
	}
	for _, o := range g.params.Options {
		if _, sequential := o.(Sequential); sequential {
			return []Network{g.params.Network}
		}
	}
	all := s.Devices()
	return all[:max(1, min(len(all), jobs))]
}

// batchRun is one call of the network for several jobs.
type batchRun struct {
	network Network
	jobs    []*job
	x       *tensor.Tensor
	times   []float32
	in      Inputs
	// denoised are the results, by job.
	denoised []*tensor.Tensor
}

func (r *batchRun) report(done func(*job, *tensor.Tensor)) {
	for i, j := range r.jobs {
		done(j, r.denoised[i])
	}
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

// nextBatch removes the jobs that can run with the first one, at most the given number and up to the limit of memory, from the list. The order
// inside a batch is the reverse of the list's, as upstream's.
func (g *guide) nextBatch(waiting []*job, most int) (batch, rest []*job) {
	var candidates []int
	for i := range waiting {
		if len(candidates) < most && waiting[i].fits(waiting[0]) {
			candidates = append(candidates, i)
		}
	}
	slices.Reverse(candidates)
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
func (g *guide) outputs(ctx context.Context, r *batchRun, x *tensor.Tensor) (*tensor.Tensor, error) {
	run := func(ctx context.Context) (*tensor.Tensor, error) { return r.network.Predict(ctx, x, r.times, r.in) }
	keys := make([]*entry, len(r.jobs))
	for i, j := range r.jobs {
		keys[i] = j.entry
		known := slices.ContainsFunc(g.sides, func(side []*entry) bool { return slices.Contains(side, j.entry) })
		if g.reuse == nil || g.reuse.guided || !known { // the requests in between differ each time
			return run(ctx)
		}
	}
	return g.reuse.around(ctx, r.in.Sigma, x, keys, run)
}

// runBatch runs the network once for several jobs.
func (g *guide) runBatch(ctx context.Context, r *batchRun, sigma float32) error {
	if err := g.join(r, sigma); err != nil {
		return err
	}
	return g.finish(ctx, r, sigma)
}

// join joins what the jobs of a batch give the network.
func (g *guide) join(r *batchRun, sigma float32) error {
	batch := r.jobs
	xs, inputs, negative := make([]*tensor.Tensor, len(batch)), make([][]Input, len(batch)), make([]bool, len(batch))
	for i, j := range batch {
		xs[i], inputs[i], negative[i] = j.x, j.inputs, j.side == 1
	}
	x := joinRows(xs)
	if g.first != nil {
		var err error
		if x, err = beginning(x, g.first); err != nil {
			return err
		}
	}
	times := make([]float32, x.Dim(0))
	for i := range times {
		times[i] = g.model.Timestep(sigma)
	}
	in := Inputs{Control: batch[0].control, Sigma: sigma, Next: next(g.sigmas, sigma), Entries: len(batch), Negative: negative, Random: g.random, State: g.state, List: joinInputs(inputs), Parts: g.params.parts, Carried: g.params.carried(), Options: g.params.Options}
	if hooks := batch[0].entry.cond.Hooks; len(hooks) > 0 {
		in.Hooks = g.hooks.apply(g.model, g.sigmas, hooks, sigma)
	}
	r.x, r.times, r.in = x, times, in
	return nil
}

// finish runs the network for a batch that was prepared.
func (g *guide) finish(ctx context.Context, r *batchRun, sigma float32) error {
	raw, err := g.outputs(ctx, r, g.model.Input(sigma, r.x))
	if err != nil {
		return fmt.Errorf("running the model: %w", err)
	}
	if !tensor.SameShape(raw, r.x) {
		return fmt.Errorf("running the model: it returned shape %v for latents of shape %v", raw.Shape, r.x.Shape)
	}
	if err := g.checkFinite("the model's output", raw); err != nil {
		return err
	}
	denoised := g.model.Denoised(sigma, raw, r.x)
	rows := r.x.Dim(0) / len(r.jobs)
	for i := range r.jobs {
		r.denoised = append(r.denoised, denoised.Slice(i*rows, (i+1)*rows))
	}
	return nil
}

// next returns the sigma after the given one in a schedule, or nil if the schedule does not contain it.
func next(sigmas []float32, sigma float32) *float32 {
	if i := slices.Index(sigmas, sigma); i >= 0 && i+1 < len(sigmas) {
		return &sigmas[i+1]
	}
	return nil
}
