package onnx

import "comfygo/engine/dtype"

// LinearForm is how a Linear computes, apart from its operands.
type LinearForm struct {
	// Gated is a gated layer: with N = 2·inner, the result is the first inner columns of x·wᵀ + bias times the exact GELU of the
	// others, [..,inner]. It takes no sum.
	Gated bool
	// Remembered keeps the last x and result in the session, which computes nothing when x is the same again: for values that do
	// not change from step to step, such as a prompt's encoding. It takes no sum.
	Remembered bool
	// Int8 multiplies in 8-bit integers, on CPUs for which ort.HasInt8 returns true; others compute in float32.
	Int8 bool
	// Bfloat16 rounds x and w to bfloat16 and sums in float32, on CPUs for which ort.HasBfloat16 returns true; others compute in
	// float32. Int8 takes precedence.
	Bfloat16 bool
}

// Linear returns x·wᵀ + bias + sum for x [..,K] in float32 and w [N,K] of any float type; bias [N] and sum, of the result's
// shape [..,N], are optional. The weight is converted piece by piece while it is used. An engine operator (domain comfygo)
// for CPUs for which ort.Runtime.HasLinear returns true.
func (g *Graph) Linear(form LinearForm, x, w, bias, sum *Value) *Value {
	const op = "Linear"
	if w.Rank() != 2 || x.Rank() < 1 || x.DType != dtype.F32 || !w.DType.IsFloat() || x.Dim(-1) != w.Dim(1) {
		g.fail(op, "shapes %s%v and %s%v do not match", x.DType, x.Shape, w.DType, w.Shape)
	}
	out := x.Shape.Clone()
	out[len(out)-1] = w.Dim(0)
	var mode, keep, narrow int64
	if form.Remembered {
		keep = 1
	}
	switch {
	case form.Int8:
		narrow = 1
	case form.Bfloat16:
		narrow = 2
	}
	if form.Gated {
		if w.Dim(0).N%2 != 0 {
			g.fail(op, "a gated layer with %v rows", w.Dim(0))
		}
		mode, out[len(out)-1] = 1, w.Dim(0).Div(2)
	}
	if bias != nil && (bias.DType != dtype.F32 || !bias.Shape.Equal(Shape{w.Dim(0)})) || sum != nil && (sum.DType != dtype.F32 || !sum.Shape.Equal(out)) {
		g.fail(op, "a bias or sum that does not fit %v", out)
	}
	in := []*Value{w, x}
	if bias != nil || sum != nil {
		in = append(in, bias)
	}
	if sum != nil {
		in = append(in, sum)
	}
	return g.op(DomainComfygo, op, dtype.F32, out, in, attr{"gated", mode}, attr{"remember", keep}, attr{"narrow", narrow})
}

// ConvForm is how a Conv3x3 multiplies.
type ConvForm int

// The forms: in float32; where ort.HasBfloat16 returns true with numbers that are rounded to bfloat16, if that is faster; the same with
// up to five times the error, which is that of networks whose values are all in bfloat16.
const (
	ConvFloat32 ConvForm = iota
	ConvBfloat16
	ConvCoarse
)

// Conv3x3 is a 3x3 convolution of x [B,I,H,W] in float32 with stride one and a border of zeros, for a weight [O,I,3,3] of any
// float type; bias [O] and sum, of the result's shape [B,O,H,W], are optional. It computes by Winograd's algorithm, whose
// rounding errors are a few times those of the plain sum. An engine operator like Linear.
func (g *Graph) Conv3x3(form ConvForm, x, w, bias, sum *Value) *Value {
	const op = "Conv3x3"
	if w.Rank() != 4 || x.Rank() != 4 || x.DType != dtype.F32 || !w.DType.IsFloat() || x.Dim(1) != w.Dim(1) || !w.Dim(2).Is(3) || !w.Dim(3).Is(3) {
		g.fail(op, "shapes %s%v and %s%v do not match", x.DType, x.Shape, w.DType, w.Shape)
	}
	out := x.Shape.Clone()
	out[1] = w.Dim(0)
	if bias != nil && (bias.DType != dtype.F32 || !bias.Shape.Equal(Shape{w.Dim(0)})) || sum != nil && (sum.DType != dtype.F32 || !sum.Shape.Equal(out)) {
		g.fail(op, "a bias or sum that does not fit %v", out)
	}
	in := []*Value{w, x}
	if bias != nil || sum != nil {
		in = append(in, bias)
	}
	if sum != nil {
		in = append(in, sum)
	}
	var attrs []attr
	switch form {
	case ConvBfloat16:
		attrs = append(attrs, attr{"narrow", int64(2)})
	case ConvCoarse:
		attrs = append(attrs, attr{"narrow", int64(3)})
	}
	return g.op(DomainComfygo, op, dtype.F32, out, in, attrs...)
}

// BiasFastGelu returns the tanh form of the GELU of x [..,C] + bias [C].
func (g *Graph) BiasFastGelu(x, bias *Value) *Value {
	if bias.Rank() != 1 || bias.Dim(0) != x.Dim(-1) || bias.DType != x.DType {
		g.fail("FastGelu", "bias %s%v for %s%v", bias.DType, bias.Shape, x.DType, x.Shape)
	}
	return g.op(DomainMicrosoft, "FastGelu", x.DType, x.Shape, []*Value{x, bias})
}

// BiasAdd returns x [B,S,C] + bias [C] + sum [B,S,C]. CUDA has it for widths C of 320, 640 and 1280.
func (g *Graph) BiasAdd(x, bias, sum *Value) *Value {
	if x.Rank() != 3 || bias.Rank() != 1 || bias.Dim(0) != x.Dim(2) || bias.DType != x.DType || sum.DType != x.DType || !sum.Shape.Equal(x.Shape) {
		g.fail("BiasAdd", "bias %s%v and %s%v for %s%v", bias.DType, bias.Shape, sum.DType, sum.Shape, x.DType, x.Shape)
	}
	return g.op(DomainMicrosoft, "BiasAdd", x.DType, x.Shape, []*Value{x, bias, sum})
}

// GroupNorm normalises x [B,C,…] in float32 in groups of channels, multiplies by weight [C] and adds bias [C]; silu applies
// SiLU to the result. shift [B,C], which may be nil, is added to x before. The result may take the memory of x. An engine
// operator like Linear.
func (g *Graph) GroupNorm(x, weight, bias, shift *Value, groups int, eps float32, silu bool) *Value {
	const op = "GroupNorm"
	c := x.Dim(1)
	if x.Rank() < 2 || x.DType != dtype.F32 || weight.DType != dtype.F32 || !weight.Shape.Equal(Shape{c}) || bias.DType != dtype.F32 ||
		!bias.Shape.Equal(Shape{c}) || groups < 1 || c.N%groups != 0 {
		g.fail(op, "weight %s%v, bias %s%v and %d groups for %s%v", weight.DType, weight.Shape, bias.DType, bias.Shape, groups, x.DType, x.Shape)
	}
	in := []*Value{x, weight, bias}
	if shift != nil {
		if shift.DType != dtype.F32 || shift.Rank() != 2 || shift.Dim(1) != c {
			g.fail(op, "%s%v is added to %v", shift.DType, shift.Shape, x.Shape)
		}
		in = append(in, shift)
	}
	follows := int64(0)
	if silu {
		follows = 1
	}
	return g.op(DomainComfygo, op, dtype.F32, x.Shape, in, attr{"groups", int64(groups)}, attr{"epsilon", eps}, attr{"silu", follows})
}

// BiasSplitGelu adds bias [2·n] to x [B,S,2·n] and multiplies the first half by the exact GELU of the second, [B,S,n]. CUDA
// has it for widths 2·n of 2560, 5120 and 10240.
func (g *Graph) BiasSplitGelu(x, bias *Value) *Value {
	width := x.Dim(-1)
	if x.Rank() != 3 || bias.Rank() != 1 || bias.Dim(0) != width || bias.DType != x.DType || !width.Known() || width.N%2 != 0 {
		g.fail("BiasSplitGelu", "bias %s%v for %s%v", bias.DType, bias.Shape, x.DType, x.Shape)
	}
	return g.op(DomainMicrosoft, "BiasSplitGelu", x.DType, Shape{x.Dim(0), x.Dim(1), D(width.N / 2)}, []*Value{x, bias})
}
