package sampling

import (
	"context"
	"math"
	"slices"

	"comfygo/engine/tensor"
)

// Reuse makes a run skip predictions that would change little: the last prediction's difference from its input is added to the new
// input instead (Zhou et al., "Less is Enough: Training-Free Video Diffusion Acceleration via Runtime-Adaptive Caching", arXiv
// 2507.02860). Upstream: EasyCache and LazyCache.
type Reuse struct {
	// Threshold is the accumulated change after which the network runs again.
	Threshold float64
	// Start and End bound the part of the run where predictions are left out, in 0…1.
	Start, End float64
	// Guided reports that guided predictions are left out; otherwise it is the network's outputs.
	Guided bool
}

// WithReuse returns the hooks with another way to leave out predictions.
func (h Hooks) WithReuse(r Reuse) Hooks {
	h.Reuse = &r
	return h
}

// sampleStride is the distance between the values by which changes are measured.
const sampleStride = 8

// reuser is the state of a run that leaves out predictions.
type reuser struct {
	threshold  float32
	start, end float64 // levels
	guided     bool

	shape []int // of the inputs, without their rows
	// input and output are samples of the last prediction, norm is the mean size of its values: unset at first.
	input, output *tensor.Tensor
	norm          float32
	// rate is the change of the output relative to the change of the input; known reports that it is set.
	rate   float32
	known  bool
	change float32 // what has added up

	// first is the entry whose changes are measured, skip reports that it was left out, and the others with it.
	first *entry
	skip  bool
	added map[*entry]*tensor.Tensor // output less input of each entry; of nil for guided predictions
}

func newReuser(r *Reuse, m *ModelSampling) *reuser {
	if r == nil {
		return nil
	}
	return &reuser{
		threshold: float32(r.Threshold), start: m.PercentToSigma(r.Start), end: m.PercentToSigma(r.End), guided: r.Guided,
		added: map[*entry]*tensor.Tensor{},
	}
}

// around returns the prediction of run for the rows of some entries in x, or its substitute.
func (r *reuser) around(ctx context.Context, sigma float32, x *tensor.Tensor, keys []*entry, run func(context.Context) (*tensor.Tensor, error)) (*tensor.Tensor, error) {
	if !(float64(sigma) > r.end) {
		return run(ctx)
	}
	measured := r.guided || r.first != nil && slices.Contains(keys, r.first)
	var moved *float32
	if float64(sigma) <= r.start {
		r.checkShape(x)
		if !r.guided && r.skip && r.knows(keys) { // guided predictions are measured at each step
			return r.standIn(x, keys), nil
		}
		if !r.guided && r.first == nil {
			r.first, measured = keys[0], true
		}
		if measured {
			if moved = r.moved(x, keys); r.mayStandIn(moved) && r.knows(keys) {
				r.skip = true
				return r.standIn(x, keys), nil
			}
		}
	}
	out, err := run(ctx)
	if err != nil {
		return nil, err
	}
	if measured && r.output != nil && moved != nil {
		r.rate, r.known = meanChange(r.sample(out, keys), r.output) / *moved, true
	}
	r.remember(x, out, keys)
	if measured {
		r.input, r.output, r.norm = r.sample(x, keys), r.sample(out, keys), meanSize(out.Data)
	}
	return out, nil
}

// moved is the change of the input since the last prediction, or nil without one.
func (r *reuser) moved(x *tensor.Tensor, keys []*entry) *float32 {
	if r.input == nil {
		return nil
	}
	v := meanChange(r.sample(x, keys), r.input)
	return &v
}

// mayStandIn adds a change of the input up and reports whether all that has added up is still little.
func (r *reuser) mayStandIn(moved *float32) bool {
	if moved == nil || r.output == nil || !r.known {
		return false
	}
	if r.change += r.rate * *moved / r.norm; r.change < r.threshold {
		return true
	}
	r.change = 0
	return false
}

func (r *reuser) knows(keys []*entry) bool {
	return !slices.ContainsFunc(keys, func(e *entry) bool { return r.added[e] == nil })
}

// standIn returns x plus the differences of the last predictions.
func (r *reuser) standIn(x *tensor.Tensor, keys []*entry) *tensor.Tensor {
	parts := make([]*tensor.Tensor, len(keys))
	for i, e := range keys {
		parts[i] = r.added[e]
	}
	return sum(term{1, x}, term{1, joinRows(parts)})
}

func (r *reuser) remember(x, out *tensor.Tensor, keys []*entry) {
	diff := sum(term{1, out}, term{-1, x})
	rows := x.Dim(0) / len(keys)
	for i, e := range keys {
		r.added[e] = diff.Slice(i*rows, (i+1)*rows)
	}
}

// checkShape forgets everything when the inputs have another shape than before.
func (r *reuser) checkShape(x *tensor.Tensor) {
	if r.shape != nil && !slices.Equal(r.shape, x.Shape[1:]) {
		*r = reuser{threshold: r.threshold, start: r.start, end: r.end, guided: r.guided, known: true, added: map[*entry]*tensor.Tensor{}}
	}
	r.shape = slices.Clone(x.Shape[1:])
}

// sample returns every eighth value along the last two axes, of the rows of the entry that is measured.
func (r *reuser) sample(x *tensor.Tensor, keys []*entry) *tensor.Tensor {
	if !r.guided {
		rows, at := x.Dim(0)/len(keys), slices.Index(keys, r.first)
		x = x.Slice(at*rows, (at+1)*rows)
	}
	h, w := x.Dim(-2), x.Dim(-1)
	var out []float32
	for plane := 0; plane < len(x.Data); plane += h * w {
		for y := 0; y < h; y += sampleStride {
			for i := 0; i < w; i += sampleStride {
				out = append(out, x.Data[plane+y*w+i])
			}
		}
	}
	return &tensor.Tensor{Shape: []int{len(out)}, Data: out}
}

func meanChange(a, b *tensor.Tensor) float32 {
	if len(a.Data) != len(b.Data) {
		return float32(math.Inf(1))
	}
	total := 0.0
	for i, v := range a.Data {
		total += math.Abs(float64(v - b.Data[i]))
	}
	return float32(total / float64(len(a.Data)))
}

func meanSize(v []float32) float32 {
	total := 0.0
	for _, f := range v {
		total += math.Abs(float64(f))
	}
	return float32(total / float64(len(v)))
}
