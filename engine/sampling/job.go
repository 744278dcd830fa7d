package sampling

import (
	"slices"

	"comfygo/engine/tensor"
)

// job is one entry's share of a prediction.
type job struct {
	entry  *entry
	side   int // 0 for the positive conditioning, 1 for the negative
	x      *tensor.Tensor
	weight *tensor.Tensor
	inputs []Input
	area   *region
	// control is the entry's.
	control any
}

// newJob returns the entry's call of the network for the noisy latent x.
func (e *entry) newJob(side int, x *tensor.Tensor) *job {
	rows := x.Dim(0)
	inputs := slices.Clone(e.inputs)
	for i, in := range inputs {
		inputs[i].Value = in.Rule.Rows(in.Value, rows, e.area.cut)
	}
	return &job{entry: e, side: side, x: e.area.cut(x), weight: e.weight(x.Shape), area: e.area, control: e.control, inputs: inputs}
}

// repeatRows repeats or cuts the rows of x to n rows. Upstream: repeat_to_batch_size.
func repeatRows(x *tensor.Tensor, n int) *tensor.Tensor {
	if x.Dim(0) == n {
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

// weight returns the entry's weight at each cell of its area, for latents of the given shape.
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
	return j == o || j.control == o.control && j.entry.cond.Hooks.same(o.entry.cond.Hooks) && tensor.SameShape(j.x, o.x) && fitInputs(j.inputs, o.inputs)
}

// contextsFit reports whether text encodings can be repeated to one length without growing more than fourfold.
func contextsFit(a, b *tensor.Tensor) bool {
	if tensor.SameShape(a, b) {
		return true
	}
	if a.Dim(0) != b.Dim(0) || a.Dim(2) != b.Dim(2) {
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

// joinRows concatenates tensors along the first axis.
func joinRows(parts []*tensor.Tensor) *tensor.Tensor {
	if len(parts) == 1 {
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
	if len(parts) == 1 {
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
