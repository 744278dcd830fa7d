package qwen35

import (
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// delta is linear attention by the gated delta rule: a state of keys by values, which decays, and in which each token replaces what its key stood for.
// The tokens of a piece are computed together (upstream: qwen35.py GatedDeltaNet, torch_chunk_gated_delta_rule), in float32.
func (w *writer) delta(s *weights.Scope, x *onnx.Value) *onnx.Value {
	c, one, i := w.cfg, onnx.D(1), w.linear
	w.linear++
	mixed := w.Linear(s.At("in_proj_qkv"), x, c.mixed())
	w.Output(outMixed(i), w.Cast(w.Reshape(mixed, w.size, onnx.D(c.mixed())), dtype.F32))
	before := w.in(inMixed(i), one, onnx.D(c.Kernel-1), onnx.D(c.mixed()))
	y := w.Conv1d(s.At("conv1d"), w.Transpose(w.Concat(1, before, mixed), 0, 2, 1), c.mixed(), c.Kernel, c.mixed(), onnx.WindowND{})
	parts := w.Split(w.Cast(w.Transpose(w.SiLU(y), 0, 2, 1), dtype.F32), 2, c.KeyHeads*c.KeyDim, c.KeyHeads*c.KeyDim, c.ValueHeads*c.ValueDim)
	q, k := w.keys(parts[0]), w.keys(parts[1])
	q = w.Mul(q, w.Scalar(dtype.F32, float32(1/math.Sqrt(float64(c.KeyDim)))))
	v := w.Transpose(w.Reshape(parts[2], w.size, onnx.D(c.ValueHeads), onnx.D(c.ValueDim)), 1, 0, 2)

	each := func(v *onnx.Value) *onnx.Value { // [1,S,heads] to [heads,S,1], nothing for filling
		v = w.Mul(w.Cast(v, dtype.F32), w.real)
		return w.Unsqueeze(w.Transpose(w.Reshape(v, w.size, onnx.D(c.ValueHeads)), 1, 0), 2)
	}
	beta := each(w.Sigmoid(w.Linear(s.At("in_proj_b"), x, c.ValueHeads)))
	w.At(s.Prefix())
	step := w.Softplus(w.Cast(w.Add(w.Linear(s.At("in_proj_a"), x, c.ValueHeads), w.Table(s.Weight("dt_bias", c.ValueHeads))), dtype.F32))
	decay := w.CumSum(each(w.Mul(step, w.Cast(w.Table(decayOf(s.Weight("A_log", c.ValueHeads))), dtype.F32))), 1)

	y = w.rule(q, k, v, beta, decay, i)
	y = w.RMSNorm(s.At("norm"), w.Cast(w.Transpose(y, 1, 0, 2), w.Target.Compute), epsilon)
	y = w.Reshape(y, one, w.size, onnx.D(c.ValueHeads*c.ValueDim))
	return w.Linear(s.At("out_proj"), w.Mul(y, w.SiLU(w.Linear(s.At("in_proj_z"), x, c.ValueHeads*c.ValueDim))), c.Width)
}

// keys are those [1,S,·] of each head at length one, repeated for the heads of values that share them: [heads,S,D].
func (w *writer) keys(x *onnx.Value) *onnx.Value {
	c := w.cfg
	kh, d, times := onnx.D(c.KeyHeads), onnx.D(c.KeyDim), onnx.D(c.ValueHeads/c.KeyHeads)
	const shortest = 1e-12 // torch's bound for the length
	x = w.Reshape(x, w.size, kh, d)
	x = w.Div(x, w.Max(w.ReduceL2(x, true, 2), w.Scalar(dtype.F32, shortest)))
	if times.N > 1 {
		x = w.Reshape(w.Expand(w.Unsqueeze(x, 2), w.size, kh, times, d), w.size, onnx.D(c.ValueHeads), d)
	}
	return w.Transpose(x, 1, 0, 2)
}

// rule computes a piece of tokens: q and k [heads,S,keys], v [heads,S,values], beta [heads,S,1], the share of its value that a token writes, and the
// logarithm of the state's decay [heads,S,1].
func (w *writer) rule(q, k, v, beta, decay *onnx.Value, layer int) *onnx.Value {
	c := w.cfg
	state := w.Input(inState(layer), dtype.F32, onnx.D(c.ValueHeads), onnx.D(c.KeyDim), onnx.D(c.ValueDim))
	transposed := func(v *onnx.Value) *onnx.Value { return w.Transpose(v, 0, 2, 1) }
	grown := w.Exp(decay)
	kb := w.Mul(k, beta)
	values, keys, seen := w.Mul(v, beta), w.Mul(kb, grown), w.MatMul(q, transposed(k))
	if w.v.size > 1 {
		w.constants()
		between := w.Mul(w.Exp(w.Mul(w.Sub(decay, transposed(decay)), w.lower)), w.lower)
		seen = w.Mul(seen, between)
		solve := w.inverse(w.Neg(w.Mul(w.MatMul(kb, transposed(k)), between)))
		values, keys = w.MatMul(solve, values), w.MatMul(solve, keys)
	}
	fresh := w.Sub(values, w.MatMul(keys, state))
	out := w.Add(w.MatMul(w.Mul(q, grown), state), w.MatMul(seen, fresh))
	last := w.SliceDims(decay, 1, onnx.D(w.v.size-1), onnx.D(w.v.size))
	left := w.Exp(w.Sub(last, decay))
	w.Output(outState(layer), w.Add(w.Mul(state, w.Exp(last)), w.MatMul(transposed(w.Mul(k, left)), fresh)))
	return out
}

// constants computes the masks of a piece, once for all layers: lower is 1 on and below the diagonal, the others for the steps of
// inverse.
func (w *writer) constants() {
	if w.lower != nil {
		return
	}
	n := w.v.size
	square := func(f func(row, col int) bool) *onnx.Value {
		data := make([]float32, n*n)
		for i := range data {
			if f(i/n, i%n) {
				data[i] = 1
			}
		}
		return w.Floats(data, n, n)
	}
	w.lower = square(func(r, c int) bool { return c <= r })
	w.masks = []*onnx.Value{square(func(r, c int) bool { return r == c })}
	for side := 1; side < n; side *= 2 {
		w.masks = append(w.masks, square(func(r, c int) bool {
			return r/(2*side) == c/(2*side) && r/side%2 == 1 && c/side%2 == 0
		}))
	}
}

// inverse is the inverse of I-a, where the values of a below its diagonal count: blocks of twice the side come from those of the side before, which
// is as exact as row after row.
func (w *writer) inverse(a *onnx.Value) *onnx.Value {
	d := w.Add(w.Mul(a, w.masks[1]), w.masks[0])
	for _, mask := range w.masks[2:] {
		d = w.Add(d, w.MatMul(w.MatMul(d, w.Mul(a, mask)), d))
	}
	return d
}

// decayOf is -eˣ of a weight, computed while it is read.
func decayOf(r *weights.Ref) *weights.Ref {
	if r.Missing() {
		return r
	}
	e := r.Entry
	return &weights.Ref{Name: r.Name, Entry: weights.Compute(e.Name, e.Shape, weights.Computation{Op: "decay", Parts: []weights.Entry{e}, Read: func(dst []float32, from int) error {
		if err := weights.Range(dst, e, from); err != nil {
			return err
		}
		for i, v := range dst {
			dst[i] = float32(-math.Exp(float64(v)))
		}
		return nil
	}})}
}
