package nn

import (
	"comfygo/engine/dtype"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// GroupNorm normalises x [B,C,…] in groups of channels, with the weight and bias [C] of scope s.
//
// CPUs that run the engine's own operators have one for it, others take an instance norm over [B,groups,rest], the fastest
// form there. On CUDA images in float16 take the operator for channels-last ones. Anything else is a layer norm over the last axis, one kernel, which computes in float32 inside.
func (b *Builder) GroupNorm(s *weights.Scope, x *onnx.Value, groups int, eps float32) *onnx.Value {
	return b.groupNorm(s, x, nil, groups, eps, false)
}

// groupNorm is GroupNorm of x plus the optional shift [B,C], followed by SiLU if silu is set.
func (b *Builder) groupNorm(s *weights.Scope, x, shift *onnx.Value, groups int, eps float32, silu bool) *onnx.Value {
	b.At(s.Prefix())
	c := x.Dim(1).N
	if b.lasts(x) && c%groups == 0 && c/groups%2 == 0 { // its kernels take channels in pairs
		wide := func(name string) *onnx.Value {
			r := s.Weight(name, c)
			return b.weight(r.Name+".wide", dtype.F32, []int{c}, Layout{Entry: r.Entry, Form: Plain, DType: dtype.F32})
		}
		return b.GroupNormLast(x, shift, wide("weight"), wide("bias"), groups, eps, silu)
	}
	if b.Target.Linear && x.DType == dtype.F32 && c%groups == 0 {
		return b.Graph.GroupNorm(x, b.small(s.Weight("weight", c)), b.small(s.Weight("bias", c)), shift, groups, eps, silu)
	}
	if shift != nil {
		axes := make([]int, x.Rank()-2)
		for i := range axes {
			axes[i] = 2 + i
		}
		x = b.Add(x, b.Unsqueeze(shift, axes...))
	}
	as := []int{c}
	for range x.Rank() - 2 {
		as = append(as, 1)
	}
	weight := b.small(s.Weight("weight", c), as...)
	bias := b.small(s.Weight("bias", c), as...)
	norm := b.groupsByInstanceNorm
	if b.Target.CUDA {
		norm = b.groupsByLayerNorm
	}
	y := b.Add(b.Mul(b.ReshapeLike(norm(b.inGroups(x, groups), eps), x), weight), bias)
	if silu {
		y = b.SiLU(y)
	}
	return y
}

// inGroups converts x [B,C,…] into the shape [B,groups,rest].
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
	return b.groupNorm(s, x, nil, groups, eps, true)
}

// GroupNormShifted is GroupNormSiLU of x [B,C,…] plus shift [B,C], such as an embedding of the timestep.
func (b *Builder) GroupNormShifted(s *weights.Scope, x, shift *onnx.Value, groups int, eps float32) *onnx.Value {
	return b.groupNorm(s, x, shift, groups, eps, true)
}

// LayerNorm normalises the last axis of x with the weight and bias of scope s.
func (b *Builder) LayerNorm(s *weights.Scope, x *onnx.Value, eps float32) *onnx.Value {
	b.At(s.Prefix())
	c := x.Dim(-1).N
	weight, bias := b.small(s.Weight("weight", c)), b.optional(s.Optional("bias", c))
	if b.Target.CUDA {
		if y, ok := b.SumLayerNorm(x, weight, bias, eps); ok {
			return y
		}
	}
	return b.Graph.LayerNorm(x, weight, bias, eps)
}
