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
	return b.linear(s, s.Weight("weight", dims...), s.Optional("bias", out), x, 0, out)
}

// LinearRows is Linear with rows [from, from+out) of a weight and bias of total rows, such as the query part of a fused
// query-key-value projection.
func (b *Builder) LinearRows(s *weights.Scope, x *onnx.Value, total, from, out int) *onnx.Value {
	b.At(s.Prefix())
	r, bias := s.Weight("weight", total, x.Dim(-1).N), s.Optional("bias", total)
	return b.linear(s, b.rows(r, from, out), b.rows(bias, from, out), x, from, out)
}

// rows returns a part of a weight that may be nil or missing.
func (b *Builder) rows(r *weights.Ref, from, n int) *weights.Ref {
	if r == nil || r.Missing() {
		return r
	}
	e, err := r.Entry.Rows(from, n)
	if err != nil {
		panic(&onnx.BuildError{Graph: b.Name, Scope: b.Scope(), Op: "LinearRows", Message: err.Error()})
	}
	return &weights.Ref{Name: e.Name, Entry: e}
}

// linear applies r, which are the rows of the weight of scope s from row from on, with its bias and the branches of the
// adapters.
func (b *Builder) linear(s *weights.Scope, r, bias *weights.Ref, x *onnx.Value, from, out int) *onnx.Value {
	in := x.Dim(-1).N
	y := b.matmul(x, r, out, in)
	if bias != nil {
		y = b.Add(y, b.small(bias))
	}
	return b.linearBranches(s, from, out, in, x, y)
}

// matmul multiplies the last axis of x by the transpose of weight r [out,in].
func (b *Builder) matmul(x *onnx.Value, r *weights.Ref, out, in int) *onnx.Value {
	t := b.Target
	if m, ok := b.quantized(r, out, in); ok {
		return b.quantizedMatMul(x, r, m)
	}
	switch {
	case t.CUDA:
		w := b.weight(r.Name, t.Compute, []int{out, in}, Layout{Entry: r.Entry, Form: Plain, DType: t.Compute})
		return b.MatMulT(x, w)
	case t.Lean:
		b.product = b.MatMulT(x, b.leanWeight(r, []int{out, in}, b.behind(x)))
		return b.product
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
