package nn

import (
	"comfygo/engine/dtype"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// GroupNorm normalises x [B,C,…] in groups of channels, with the weight and bias [C] of scope s.
//
// It is written as an instance norm over [B,groups,rest], the fastest form on the CPU and one that CUDA has for float32
// and float16. For bfloat16 it is a layer norm over the last axis, which computes in float32 inside.
func (b *Builder) GroupNorm(s *weights.Scope, x *onnx.Value, groups int, eps float32) *onnx.Value {
	b.At(s.Prefix())
	c := x.Dim(1).N
	as := []int{c}
	for range x.Rank() - 2 {
		as = append(as, 1)
	}
	weight := b.small(s.Weight("weight", c), as...)
	bias := b.small(s.Weight("bias", c), as...)
	norm := b.groupsByInstanceNorm
	if x.DType == dtype.BF16 {
		norm = b.groupsByLayerNorm
	}
	return b.Add(b.Mul(b.ReshapeLike(norm(b.inGroups(x, groups), eps), x), weight), bias)
}

// inGroups brings x [B,C,…] into the shape [B,groups,rest].
func (b *Builder) inGroups(x *onnx.Value, groups int) *onnx.Value {
	return b.Reshape(x, x.Dim(0), onnx.D(groups), onnx.Infer)
}

func (b *Builder) groupsByInstanceNorm(x *onnx.Value, eps float32) *onnx.Value {
	groups := x.Dim(1).N
	ones, zeros := make([]float32, groups), make([]float32, groups)
	for i := range ones {
		ones[i] = 1
	}
	return b.InstanceNorm(x, b.Cast(b.Floats(ones, groups), x.DType), b.Cast(b.Floats(zeros, groups), x.DType), eps)
}

func (b *Builder) groupsByLayerNorm(x *onnx.Value, eps float32) *onnx.Value {
	return b.LayerNormPlain(x, eps)
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
