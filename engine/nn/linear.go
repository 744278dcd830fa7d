package nn

import (
	"comfygo/engine/dtype"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// Linear applies the weight [out,in] and the optional bias [out] of scope s to the last axis of x. A weight that is
// stored as a 1x1 convolution [out,in,1,1] is the same thing.
func (b *Builder) Linear(s *weights.Scope, x *onnx.Value, out int) *onnx.Value {
	return b.LinearAdd(s, x, nil, out)
}

// LinearAdd is Linear, plus the optional residual of the result's shape.
func (b *Builder) LinearAdd(s *weights.Scope, x, residual *onnx.Value, out int) *onnx.Value {
	b.At(s.Prefix())
	return b.linear(s, b.linearWeight(s, out, x.Dim(-1).N), s.Optional("bias", out), x, residual, 0, out)
}

// LinearOnce is Linear for an x that stays the same from run to run, such as a prompt's encoding: where the target can, the
// session keeps the result instead of computing it again.
func (b *Builder) LinearOnce(s *weights.Scope, x *onnx.Value, out int) *onnx.Value {
	in := x.Dim(-1).N
	r, bias := b.linearWeight(s, out, in), s.Optional("bias", out)
	// A session keeps a result by x alone, so weights that may be replaced are excluded.
	if !b.Target.Linear || r.Entry.Quantized() || r.Entry.Variable() || bias != nil && bias.Entry.Variable() {
		return b.Linear(s, x, out)
	}
	b.At(s.Prefix())
	y := b.Graph.Linear(onnx.LinearForm{Remembered: true, Int8: b.Target.Int8, Bfloat16: b.Target.Bfloat16}, x, b.mapped(r, []int{out, in}), b.optional(bias), nil)
	return b.linearBranches(s, 0, out, in, x, y)
}

// linearWeight takes the weight [out,in] of scope s.
func (b *Builder) linearWeight(s *weights.Scope, out, in int) *weights.Ref {
	if len(s.Shape("weight")) == 4 {
		return s.Weight("weight", out, in, 1, 1)
	}
	return s.Weight("weight", out, in)
}

// LinearGated is a gated layer (GEGLU, Shazeer 2020): with the weight [2·inner,in] and the optional bias of scope s, the
// first inner elements of the linear layer's result times the exact GELU of the others, [..,inner].
func (b *Builder) LinearGated(s *weights.Scope, x *onnx.Value, inner int) *onnx.Value {
	in := x.Dim(-1).N
	r := b.linearWeight(s, 2*inner, in)
	if bias := s.Optional("bias", 2*inner); b.splits(x, 2*inner) && bias != nil && !b.adapted(s) {
		b.At(s.Prefix())
		return b.BiasSplitGelu(b.matmul(x, r, 2*inner, in), b.small(bias))
	}
	if !b.Target.Linear || b.adapted(s) || r.Entry.Quantized() {
		parts := b.Split(b.Linear(s, x, 2*inner), -1, inner, inner)
		return b.Mul(parts[0], b.Gelu(parts[1], false))
	}
	b.At(s.Prefix())
	w := b.mapped(r, []int{2 * inner, in})
	return b.Graph.Linear(onnx.LinearForm{Gated: true, Int8: b.Target.Int8, Bfloat16: b.Target.Bfloat16}, x, w, b.optional(s.Optional("bias", 2*inner)), nil)
}

// splits reports that CUDA has a kernel which adds a bias to x [B,S,width] and gates one half by the other.
func (b *Builder) splits(x *onnx.Value, width int) bool {
	return b.Target.CUDA && x.Rank() == 3 && x.DType != dtype.BF16 && (width == 2560 || width == 5120 || width == 10240)
}

// sums reports that CUDA has a kernel which adds a bias and a residual to x [B,S,width].
func (b *Builder) sums(x *onnx.Value) bool {
	width := x.Dim(-1)
	return b.Target.CUDA && x.Rank() == 3 && x.DType != dtype.BF16 && (width.Is(320) || width.Is(640) || width.Is(1280))
}

// LinearRows is Linear with rows [from, from+out) of a weight and bias of total rows, such as the query part of a fused
// query-key-value projection.
func (b *Builder) LinearRows(s *weights.Scope, x *onnx.Value, total, from, out int) *onnx.Value {
	b.At(s.Prefix())
	r, bias := s.Weight("weight", total, x.Dim(-1).N), s.Optional("bias", total)
	return b.linear(s, b.rows(r, from, out), b.rows(bias, from, out), x, nil, from, out)
}

// LinearRowsGelu is LinearRows followed by GELU in its tanh form.
func (b *Builder) LinearRowsGelu(s *weights.Scope, x *onnx.Value, total, from, out int) *onnx.Value {
	bias := s.Optional("bias", total)
	if !b.Target.CUDA || bias == nil || b.adapted(s) {
		return b.Gelu(b.LinearRows(s, x, total, from, out), true)
	}
	b.At(s.Prefix())
	in := x.Dim(-1).N
	r := b.rows(s.Weight("weight", total, in), from, out)
	return b.BiasFastGelu(b.matmul(x, r, out, in), b.small(b.rows(bias, from, out)))
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

// linear applies r, which are the rows of the weight of scope s from row from on, with its bias, the branches of the
// adapters and the optional residual.
func (b *Builder) linear(s *weights.Scope, r, bias *weights.Ref, x, residual *onnx.Value, from, out int) *onnx.Value {
	in := x.Dim(-1).N
	if b.Target.Linear && !r.Entry.Quantized() {
		y := b.Graph.Linear(onnx.LinearForm{Int8: b.Target.Int8, Bfloat16: b.Target.Bfloat16}, x, b.mapped(r, []int{out, in}), b.optional(bias), residual)
		return b.linearBranches(s, from, out, in, x, y)
	}
	y := b.matmul(x, r, out, in)
	if bias != nil && residual != nil && b.sums(y) && !b.adapted(s) {
		return b.BiasAdd(y, b.small(bias), residual)
	}
	if bias != nil {
		y = b.Add(y, b.small(bias))
	}
	y = b.linearBranches(s, from, out, in, x, y)
	if residual != nil {
		y = b.Add(y, residual)
	}
	return y
}

// mapped declares a weight in the file's own type where weights stay mapped and graphs can hold the type, and in float32
// otherwise.
func (b *Builder) mapped(r *weights.Ref, shape []int) *onnx.Value {
	t := b.Target.Compute
	if b.Target.Lean && inGraph(r.Entry.DType) {
		t = r.Entry.DType
	}
	return b.weight(r.Name, t, shape, Layout{Entry: r.Entry, Form: Plain, DType: t})
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
	w := b.mapped(r, shape)
	if w.DType == b.Target.Compute {
		return w
	}
	return b.Widen(w, x)
}
