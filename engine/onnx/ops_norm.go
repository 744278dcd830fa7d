package onnx

import (
	"strconv"

	"comfygo/engine/dtype"
)

// InstanceNorm normalises each channel of each row of [N,C,…], with scale and bias [C].
func (g *Graph) InstanceNorm(x, scale, bias *Value, eps float32) *Value {
	if x.Rank() < 3 || scale.Dim(0) != x.Dim(1) {
		g.fail("InstanceNormalization", "scale %v does not fit %v", scale.Shape, x.Shape)
	}
	return g.op(DomainONNX, "InstanceNormalization", x.DType, x.Shape, []*Value{x, scale, bias}, attr{"epsilon", eps})
}

// LayerNorm normalises x over its last axis to mean 0 and variance 1, then multiplies by scale and adds bias. Both
// broadcast to x: [C] for learned ones, [1] or [B,1,C] computed at run time for modulation; bias may be nil.
func (g *Graph) LayerNorm(x, scale, bias *Value, eps float32) *Value {
	in := []*Value{x, scale}
	if bias != nil {
		in = append(in, bias)
	}
	for _, v := range in[1:] {
		if v.DType != x.DType || !g.broadcastShapes("LayerNormalization", x.Shape, v.Shape).Equal(x.Shape) {
			g.fail("LayerNormalization", "scale or bias %s%v does not fit %s%v", v.DType, v.Shape, x.DType, x.Shape)
		}
	}
	return g.op(DomainONNX, "LayerNormalization", x.DType, x.Shape, in, attr{"axis", int64(-1)}, attr{"epsilon", eps})
}

// SumLayerNorm is LayerNorm with scale and bias [C] of a sum x [B,S,C] that the operators just before have made, of a residual and of
// what may have a bias of its own: one operator takes their place, which makes the sum and its norm. It returns false if x is not
// such a sum.
func (g *Graph) SumLayerNorm(x, scale, bias *Value, eps float32) (*Value, bool) {
	at := len(g.nodes) - 1
	if at < 1 || x.Rank() != 3 || scale.Rank() != 1 || bias == nil {
		return nil, false
	}
	sum := g.nodes[at]
	if sum.op == "BiasAdd" && sum.out[0] == x {
		return g.skipLayerNorm(at, []*Value{sum.in[0], sum.in[2], scale, bias, sum.in[1]}, x, eps), true
	}
	if sum.op != "Add" || sum.out[0] != x || !sum.in[0].Shape.Equal(x.Shape) || !sum.in[1].Shape.Equal(x.Shape) {
		return nil, false
	}
	in := []*Value{sum.in[0], sum.in[1], scale, bias}
	if biased := g.nodes[at-1]; biased.op == "Add" && biased.out[0] == sum.in[0] && sum.in[0] != sum.in[1] && biased.in[1].Rank() == 1 && biased.in[0].Shape.Equal(x.Shape) {
		in = []*Value{biased.in[0], sum.in[1], scale, bias, biased.in[1]}
		at--
	}
	return g.skipLayerNorm(at, in, x, eps), true
}

// skipLayerNorm puts one operator, which makes the sum x of its operands in and the norm that it returns, in place of the operators
// from at on.
func (g *Graph) skipLayerNorm(at int, in []*Value, x *Value, eps float32) *Value {
	g.nodes = g.nodes[:at]
	y := g.fresh(x.DType, x.Shape)
	g.push(node{op: "SkipLayerNormalization", domain: DomainMicrosoft, in: in, out: []*Value{y, nil, nil, x}, attrs: []attr{{"epsilon", eps}}})
	return y
}

// fresh is a value with a name of its own.
func (g *Graph) fresh(t dtype.DType, s Shape) *Value {
	g.next++
	return &Value{Name: "v" + strconv.Itoa(g.next), DType: t, Shape: s}
}

// LayerNormPlain is LayerNorm without learned values.
func (g *Graph) LayerNormPlain(x *Value, eps float32) *Value {
	return g.LayerNorm(x, g.ones(x), nil, eps)
}

// ones is the scale of a norm that has none. As wide as the last axis it takes ONNX Runtime's fast path on the CPU; one
// number that broadcasts was 3.5 times slower there and serves where the width is not known.
func (g *Graph) ones(x *Value) *Value {
	n := 1
	const widest = 1 << 16
	if d := x.Dim(-1); d.Known() && d.N <= widest {
		n = d.N
	}
	one := make([]float32, n)
	for i := range one {
		one[i] = 1
	}
	return g.Cast(g.Floats(one, n), x.DType)
}

// rmsOpset is the version in which RMSNormalization and RotaryEmbedding appeared.
const rmsOpset = 23

// RMSNorm divides x by the root of the mean square over its last axis and multiplies by scale [C], or nil.
func (g *Graph) RMSNorm(x, scale *Value, eps float32) *Value {
	if scale == nil {
		scale = g.ones(x)
	}
	if scale.DType != x.DType || !g.broadcastShapes("RMSNormalization", x.Shape, scale.Shape).Equal(x.Shape) {
		g.fail("RMSNormalization", "scale %s%v does not fit %s%v", scale.DType, scale.Shape, x.DType, x.Shape)
	}
	g.need(rmsOpset)
	return g.op(DomainONNX, "RMSNormalization", x.DType, x.Shape, []*Value{x, scale}, attr{"axis", int64(-1)}, attr{"epsilon", eps})
}
