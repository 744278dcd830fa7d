package nn

import (
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// Linear applies the weight [out,in] and the optional bias [out] of scope s to the last axis of x. A weight that is
// stored as a 1x1 convolution [out,in,1,1] is the same thing.
func (b *Builder) Linear(s *weights.Scope, x *onnx.Value, out int) *onnx.Value {
	b.At(s.Prefix())
	in := x.Dim(-1).N
	dims := []int{out, in}
	if len(s.Shape("weight")) == 4 {
		dims = []int{out, in, 1, 1}
	}
	y := b.matmul(x, s.Weight("weight", dims...), out, in)
	if bias := b.optional(s.Optional("bias", out)); bias != nil {
		y = b.Add(y, bias)
	}
	return y
}

// matmul multiplies the last axis of x by the transpose of weight r [out,in].
func (b *Builder) matmul(x *onnx.Value, r *weights.Ref, out, in int) *onnx.Value {
	t := b.Target
	switch {
	case t.CUDA:
		w := b.weight(r.Name, t.Compute, []int{out, in}, Layout{Entry: r.Entry, Form: Plain, DType: t.Compute})
		return b.MatMulT(x, w)
	case t.Lean:
		return b.MatMulT(x, b.leanWeight(r, []int{out, in}, x))
	}
	w := b.weight(r.Name+".T", t.Compute, []int{in, out}, Layout{Entry: r.Entry, Form: Transposed, DType: t.Compute})
	return b.MatMul(x, w)
}

// leanWeight declares a weight in the file's own type and widens it just before its use with x.
func (b *Builder) leanWeight(r *weights.Ref, shape []int, x *onnx.Value) *onnx.Value {
	t := r.Entry.DType
	if !inGraph(t) || t == b.Target.Compute {
		return b.weight(r.Name, b.Target.Compute, shape, Layout{Entry: r.Entry, Form: Plain, DType: b.Target.Compute})
	}
	return b.Widen(b.weight(r.Name, t, shape, Layout{Entry: r.Entry, Form: Plain, DType: t}), x)
}
