package sampling

import (
	"context"
	"fmt"
	"math"

	"comfygo/engine/tensor"
)

// job is one entry's share of a prediction.
type job struct {
	side   int // 0 for the positive conditioning, 1 for the negative
	x      *tensor.Tensor
	weight *tensor.Tensor
	inputs Inputs
	area   *region
}

// newJob returns what the entry has the network do for the noisy latent x.
func (e *entry) newJob(side int, x *tensor.Tensor) *job {
	rows := x.Dim(0)
	return &job{side: side, x: e.area.cut(x), weight: e.weight(x.Shape), area: e.area, inputs: Inputs{
		Context: repeatRows(e.inputs.Context, rows),
		Y:       repeatRows(e.inputs.Y, rows),
		Concat:  e.area.cutRows(e.inputs.Concat, rows),
	}}
}

func (r *region) cutRows(x *tensor.Tensor, rows int) *tensor.Tensor {
	if x == nil {
		return nil
	}
	return repeatRows(r.cut(x), rows)
}

// repeatRows repeats the rows of x until there are n, or cuts what is too much. Upstream: repeat_to_batch_size.
func repeatRows(x *tensor.Tensor, n int) *tensor.Tensor {
	if x == nil || x.Dim(0) == n {
		return x
	}
	if x.Dim(0) > n {
		return x.Slice(0, n)
	}
	out := tensor.New(append([]int{n}, x.Shape[1:]...)...)
	for i := 0; i < len(out.Data); i += len(x.Data) {
		copy(out.Data[i:], x.Data)
	}
	return out
}

// weight returns how much the entry counts at each cell of its area, for latents of the given shape.
func (e *entry) weight(shape []int) *tensor.Tensor {
	size := shape[2:]
	if e.area != nil {
		size = e.area.size
	}
	out := tensor.New(append(append([]int(nil), shape[:2]...), size...)...)
	strength := float32(valueOr(e.cond.Strength, 1))
	if e.mask == nil {
		for i := range out.Data {
			out.Data[i] = 1 * strength
		}
		if e.area != nil {
			e.area.feather(out, shape[2:])
		}
		return out
	}
	e.fillMask(out, shape, strength)
	return out
}

func (e *entry) fillMask(out *tensor.Tensor, shape []int, strength float32) {
	maskStrength := float32(valueOr(e.cond.MaskStrength, 1))
	planes := &tensor.Tensor{Shape: append([]int{e.mask.Dim(0), 1}, e.mask.Shape[1:]...), Data: e.mask.Data}
	planes = e.area.cut(planes)
	cells := tensor.Count(out.Shape[2:])
	for b := range shape[0] {
		row := planes.Index(b % planes.Dim(0)).Data
		for c := range shape[1] {
			to := out.Data[(b*shape[1]+c)*cells:][:cells]
			for i, v := range row {
				to[i] = float32(v*maskStrength) * strength
			}
		}
	}
}

func valueOr(p *float64, fallback float64) float64 {
	if p == nil {
		return fallback
	}
	return *p
}

// fits reports whether two jobs may run in one batch.
func (j *job) fits(o *job) bool {
	return tensor.SameShape(j.x, o.x) && contextsFit(j.inputs.Context, o.inputs.Context) &&
		sameOrNil(j.inputs.Y, o.inputs.Y) && sameOrNil(j.inputs.Concat, o.inputs.Concat)
}

func sameOrNil(a, b *tensor.Tensor) bool {
	if a == nil || b == nil {
		return a == b
	}
	return tensor.SameShape(a, b)
}

// contextsFit reports whether text encodings can be repeated to one length without growing more than fourfold.
func contextsFit(a, b *tensor.Tensor) bool {
	if sameOrNil(a, b) {
		return true
	}
	if a == nil || b == nil || a.Dim(0) != b.Dim(0) || a.Dim(2) != b.Dim(2) {
		return false
	}
	return lcm(a.Dim(1), b.Dim(1))/min(a.Dim(1), b.Dim(1)) <= 4
}

func lcm(a, b int) int {
	x, y := a, b
	for y != 0 {
		x, y = y, x%y
	}
	return a / max(x, 1) * b
}

// joinRows concatenates tensors along the first axis; nil when the first is nil.
func joinRows(parts []*tensor.Tensor) *tensor.Tensor {
	if parts[0] == nil || len(parts) == 1 {
		return parts[0]
	}
	rows := 0
	for _, p := range parts {
		rows += p.Dim(0)
	}
	out := tensor.New(append([]int{rows}, parts[0].Shape[1:]...)...)
	n := 0
	for _, p := range parts {
		n += copy(out.Data[n:], p.Data)
	}
	return out
}

// joinContexts concatenates text encodings, each repeated to the least common multiple of their lengths: attention to
// repeated tokens gives the same result. Upstream: CONDCrossAttn.concat.
func joinContexts(parts []*tensor.Tensor) *tensor.Tensor {
	if parts[0] == nil || len(parts) == 1 {
		return parts[0]
	}
	length := 1
	for _, p := range parts {
		length = lcm(length, p.Dim(1))
	}
	stretched := make([]*tensor.Tensor, len(parts))
	for i, p := range parts {
		stretched[i] = stretch(p, length)
	}
	return joinRows(stretched)
}

// stretch repeats each row's tokens until there are n of them.
func stretch(x *tensor.Tensor, n int) *tensor.Tensor {
	if x.Dim(1) == n {
		return x
	}
	out := tensor.New(x.Dim(0), n, x.Dim(2))
	for b := range x.Dim(0) {
		from, to := x.Index(b).Data, out.Index(b).Data
		for i := 0; i < len(to); i += len(from) {
			copy(to[i:], from)
		}
	}
	return out
}

// predict returns the prediction of each side at a noise level: the weighted mean of its entries' predictions. The
// entries run in as few batches as Fits allows. Upstream: _calc_cond_batch.
func (g *guide) predict(ctx context.Context, sides [2][]*entry, x *tensor.Tensor, sigma float32) ([2]*tensor.Tensor, error) {
	sums := [2]*tensor.Tensor{like(x), like(x)}
	var totals [2]*tensor.Tensor
	for side := range totals {
		totals[side] = apply(x, func(float32) float32 { return 1e-37 })
	}
	todo := g.jobs(sides, x, sigma)
	for len(todo) > 0 {
		var batch []*job
		batch, todo = g.nextBatch(todo)
		outputs, err := g.runBatch(ctx, batch, sigma)
		if err != nil {
			return sums, err
		}
		for i, j := range batch {
			j.area.accumulate(sums[j.side], totals[j.side], outputs[i], j.weight)
		}
	}
	for side := range sums {
		sums[side] = zip(sums[side], totals[side], func(s, t float32) float32 { return s / t })
	}
	return sums, nil
}

// jobs lists what the entries that act at a level have to do, defaults last.
func (g *guide) jobs(sides [2][]*entry, x *tensor.Tensor, sigma float32) []*job {
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

// uncovered returns what the jobs of a side leave of a weight of 1 at each cell; nil when nothing is left.
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

// nextBatch takes the jobs that can run with the first one, as many of them as fit in memory, off the list. The order
// inside a batch is the reverse of the list's, as upstream's.
func (g *guide) nextBatch(todo []*job) (batch, rest []*job) {
	var candidates []int
	for i := len(todo) - 1; i >= 0; i-- {
		if todo[i].fits(todo[0]) {
			candidates = append(candidates, i)
		}
	}
	picked := candidates[:1]
	for parts := 1; parts <= len(candidates); parts++ {
		some := candidates[:len(candidates)/parts]
		if g.fits(todo, some) {
			picked = some
			break
		}
	}
	taken := map[int]bool{}
	for _, i := range picked {
		batch = append(batch, todo[i])
		taken[i] = true
	}
	for i, j := range todo {
		if !taken[i] {
			rest = append(rest, j)
		}
	}
	return batch, rest
}

func (g *guide) fits(todo []*job, indices []int) bool {
	if g.params.Fits == nil || len(indices) == 0 {
		return len(indices) > 0
	}
	shape := append([]int(nil), todo[indices[0]].x.Shape...)
	shape[0] *= len(indices)
	tokens := 1
	for _, i := range indices {
		if c := todo[i].inputs.Context; c != nil {
			tokens = lcm(tokens, c.Dim(1))
		}
	}
	return g.params.Fits(shape, tokens)
}

// runBatch runs the network once for several jobs and returns each one's denoised latent.
func (g *guide) runBatch(ctx context.Context, batch []*job, sigma float32) ([]*tensor.Tensor, error) {
	xs, contexts, ys, concats := make([]*tensor.Tensor, len(batch)), make([]*tensor.Tensor, len(batch)),
		make([]*tensor.Tensor, len(batch)), make([]*tensor.Tensor, len(batch))
	for i, j := range batch {
		xs[i], contexts[i], ys[i], concats[i] = j.x, j.inputs.Context, j.inputs.Y, j.inputs.Concat
	}
	x := joinRows(xs)
	times := make([]float32, x.Dim(0))
	for i := range times {
		times[i] = g.model.Timestep(sigma)
	}
	in := Inputs{Context: joinContexts(contexts), Y: joinRows(ys), Concat: joinRows(concats)}
	raw, err := g.params.Network.Predict(ctx, g.model.Input(sigma, x), times, in)
	if err != nil {
		return nil, fmt.Errorf("running the model: %w", err)
	}
	if !tensor.SameShape(raw, x) {
		return nil, fmt.Errorf("running the model: it returned shape %v for latents of shape %v", raw.Shape, x.Shape)
	}
	if err := g.checkFinite(raw); err != nil {
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

// checkFinite fails when the network's very first output holds no number, which no later step could mend; where it
// happens later, it is logged once and the run goes on, as upstream's does.
func (g *guide) checkFinite(raw *tensor.Tensor) error {
	first := g.steps == 0
	bad := 0
	for _, v := range raw.Data {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			bad++
		}
	}
	if bad == 0 {
		return nil
	}
	if !g.warned {
		g.warned = true
		g.log.Warn("the model's output is not finite: the picture will be black", "step", g.steps, "values", bad, "of", len(raw.Data))
	}
	if first {
		return fmt.Errorf("sampling: %w (%d of %d values in the first step): the weights are damaged or the precision is too low for them", ErrNotFinite, bad, len(raw.Data))
	}
	return nil
}
