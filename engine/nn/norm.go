package nn

import (
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// GroupNorm normalises x [B,C,H,W] in groups of channels, with the weight and bias [C] of scope s.
//
// It is written as an instance norm over [B,groups,rest]: the form that is fastest on the CPU and that exists on
// every device.
func (b *Builder) GroupNorm(s *weights.Scope, x *onnx.Value, groups int, eps float32) *onnx.Value {
	b.At(s.Prefix())
	c := x.Dim(1).N
	weight := b.small(s.Weight("weight", c), c, 1, 1)
	bias := b.small(s.Weight("bias", c), c, 1, 1)
	ones, zeros := make([]float32, groups), make([]float32, groups)
	for i := range ones {
		ones[i] = 1
	}
	g := b.Reshape(x, x.Dim(0), onnx.D(groups), onnx.Infer)
	n := b.InstanceNorm(g, b.Cast(b.Floats(ones, groups), x.DType), b.Cast(b.Floats(zeros, groups), x.DType), eps)
	return b.Add(b.Mul(b.ReshapeLike(n, x), weight), bias)
}

// GroupNormSiLU is GroupNorm followed by SiLU.
func (b *Builder) GroupNormSiLU(s *weights.Scope, x *onnx.Value, groups int, eps float32) *onnx.Value {
	return b.SiLU(b.GroupNorm(s, x, groups, eps))
}

// LayerNorm normalises the last axis of x with the weight and bias of scope s.
func (b *Builder) LayerNorm(s *weights.Scope, x *onnx.Value, eps float32) *onnx.Value {
	b.At(s.Prefix())
	c := x.Dim(-1).N
	return b.Graph.LayerNorm(x, b.small(s.Weight("weight", c)), b.optional(s.Optional("bias", c)), eps)
}
