package onnx

import "comfygo/engine/dtype"

// broadcast returns the shape of an element-wise operator under ONNX (numpy) broadcasting.
func (g *Graph) broadcast(op string, a, b *Value) Shape {
	if a.DType != b.DType {
		g.fail(op, "element types %s and %s differ", a.DType, b.DType)
	}
	long, short := a.Shape, b.Shape
	if len(short) > len(long) {
		long, short = short, long
	}
	out := long.Clone()
	off := len(long) - len(short)
	for i, d := range short {
		l := long[off+i]
		switch {
		case l == d || d == D(1):
		case l == D(1):
			out[off+i] = d
		default:
			g.fail(op, "shapes %v and %v do not broadcast", a.Shape, b.Shape)
		}
	}
	return out
}

func (g *Graph) binary(op string, a, b *Value) *Value {
	return g.op(DomainONNX, op, a.DType, g.broadcast(op, a, b), []*Value{a, b})
}

func (g *Graph) unary(op string, x *Value, attrs ...attr) *Value {
	return g.op(DomainONNX, op, x.DType, x.Shape, []*Value{x}, attrs...)
}

// Add returns a+b with broadcasting.
func (g *Graph) Add(a, b *Value) *Value { return g.binary("Add", a, b) }

// Sub returns a-b with broadcasting.
func (g *Graph) Sub(a, b *Value) *Value { return g.binary("Sub", a, b) }

// Mul returns a*b with broadcasting.
func (g *Graph) Mul(a, b *Value) *Value { return g.binary("Mul", a, b) }

// Div returns a/b with broadcasting.
func (g *Graph) Div(a, b *Value) *Value { return g.binary("Div", a, b) }

// Sin returns the element-wise sine.
func (g *Graph) Sin(x *Value) *Value { return g.unary("Sin", x) }

// Cos returns the element-wise cosine.
func (g *Graph) Cos(x *Value) *Value { return g.unary("Cos", x) }

// Exp returns e**x element by element.
func (g *Graph) Exp(x *Value) *Value { return g.unary("Exp", x) }

// Tanh returns the element-wise hyperbolic tangent.
func (g *Graph) Tanh(x *Value) *Value { return g.unary("Tanh", x) }

// Relu returns max(x, 0).
func (g *Graph) Relu(x *Value) *Value { return g.unary("Relu", x) }

// Sigmoid returns 1/(1+e**-x).
func (g *Graph) Sigmoid(x *Value) *Value { return g.unary("Sigmoid", x) }

// SiLU returns x*sigmoid(x).
func (g *Graph) SiLU(x *Value) *Value { return g.QuickGelu(x, 1) }

// QuickGelu returns x*sigmoid(alpha*x), with ONNX Runtime's fused operator.
func (g *Graph) QuickGelu(x *Value, alpha float32) *Value {
	return g.op(DomainMicrosoft, "QuickGelu", x.DType, x.Shape, []*Value{x}, attr{"alpha", alpha})
}

// Gelu returns the exact (erf) GELU, or its tanh form.
func (g *Graph) Gelu(x *Value, tanh bool) *Value {
	form := "none"
	if tanh {
		form = "tanh"
	}
	return g.unary("Gelu", x, attr{"approximate", form})
}

// Cast converts x to type t; x itself when it already has it.
func (g *Graph) Cast(x *Value, t dtype.DType) *Value {
	if x.DType == t {
		return x
	}
	return g.op(DomainONNX, "Cast", t, x.Shape, []*Value{x}, attr{"to", int64(elemType(t))})
}

// Softmax normalises over the given axis.
func (g *Graph) Softmax(x *Value, axis int) *Value {
	return g.unary("Softmax", x, attr{"axis", int64(axis)})
}

// MatMul multiplies the last two axes, broadcasting the others: [..,M,K] x [..,K,N] = [..,M,N].
func (g *Graph) MatMul(a, b *Value) *Value {
	if a.DType != b.DType {
		g.fail("MatMul", "element types %s and %s differ", a.DType, b.DType)
	}
	if a.Rank() < 2 || b.Rank() < 2 || a.Dim(-1) != b.Dim(-2) {
		g.fail("MatMul", "shapes %v and %v do not match", a.Shape, b.Shape)
	}
	out := a.Shape.Clone()
	if b.Rank() > a.Rank() {
		out = b.Shape.Clone()
	}
	out[len(out)-2], out[len(out)-1] = a.Dim(-2), b.Dim(-1)
	return g.op(DomainONNX, "MatMul", a.DType, out, []*Value{a, b})
}

// MatMulT returns x·wᵀ for x [..,K] and w [N,K], the layout of a torch Linear weight.
func (g *Graph) MatMulT(x, w *Value) *Value {
	if w.Rank() != 2 || x.DType != w.DType || x.Dim(-1) != w.Dim(1) {
		g.fail("FusedMatMul", "shapes %s%v and %s%v do not match", x.DType, x.Shape, w.DType, w.Shape)
	}
	out := x.Shape.Clone()
	out[len(out)-1] = w.Dim(0)
	return g.op(DomainMicrosoft, "FusedMatMul", x.DType, out, []*Value{x, w}, attr{"transB", int64(1)})
}

// LayerNorm normalises over the last axis with scale and optional bias of that size.
func (g *Graph) LayerNorm(x, scale, bias *Value, eps float32) *Value {
	if scale.Rank() != 1 || scale.Dim(0) != x.Dim(-1) {
		g.fail("LayerNormalization", "scale %v does not fit %v", scale.Shape, x.Shape)
	}
	in := []*Value{x, scale}
	if bias != nil {
		in = append(in, bias)
	}
	return g.op(DomainONNX, "LayerNormalization", x.DType, x.Shape, in, attr{"axis", int64(-1)}, attr{"epsilon", eps})
}

// InstanceNorm normalises each channel of each row of [N,C,…], with scale and bias [C].
func (g *Graph) InstanceNorm(x, scale, bias *Value, eps float32) *Value {
	if x.Rank() < 3 || scale.Dim(0) != x.Dim(1) {
		g.fail("InstanceNormalization", "scale %v does not fit %v", scale.Shape, x.Shape)
	}
	return g.op(DomainONNX, "InstanceNormalization", x.DType, x.Shape, []*Value{x, scale, bias}, attr{"epsilon", eps})
}

// MultiHeadAttention computes softmax(q·kᵀ·scale + mask)·v with heads split from the last axis:
// q [B,S,N*D], k and v [B,T,N*D], mask nil or broadcastable to [B,N,S,T] (added), result [B,S,N*D].
// causal hides later positions from earlier ones.
func (g *Graph) MultiHeadAttention(q, k, v, mask *Value, heads int, scale float32, causal bool) *Value {
	if q.Rank() != 3 || k.Dim(-1) != q.Dim(-1) || k.Dim(1) != v.Dim(1) || q.DType != k.DType || q.DType != v.DType {
		g.fail("MultiHeadAttention", "q %v, k %v and v %v do not match", q.Shape, k.Shape, v.Shape)
	}
	if !q.Dim(-1).Known() || heads <= 0 || q.Dim(-1).N%heads != 0 {
		g.fail("MultiHeadAttention", "width %v is not divisible by %d heads", q.Dim(-1), heads)
	}
	in := []*Value{q, k, v}
	if mask != nil {
		in = append(in, nil, nil, mask)
	}
	var unidirectional int64
	if causal {
		unidirectional = 1
	}
	out := Shape{q.Dim(0), q.Dim(1), v.Dim(2)}
	return g.op(DomainMicrosoft, "MultiHeadAttention", q.DType, out, in,
		attr{"num_heads", int64(heads)}, attr{"scale", scale}, attr{"unidirectional", unidirectional})
}

// Gather picks rows of table's first axis: result is indices' shape followed by the rest of the table's.
func (g *Graph) Gather(table, indices *Value) *Value {
	if indices.DType != dtype.I64 && indices.DType != dtype.I32 {
		g.fail("Gather", "indices are %s", indices.DType)
	}
	out := append(indices.Shape.Clone(), table.Shape[1:]...)
	return g.op(DomainONNX, "Gather", table.DType, out, []*Value{table, indices}, attr{"axis", int64(0)})
}

// LeakyRelu returns x where it is positive and alpha*x elsewhere.
func (g *Graph) LeakyRelu(x *Value, alpha float32) *Value {
	return g.unary("LeakyRelu", x, attr{"alpha", alpha})
}

// PRelu returns x where it is positive and slope*x elsewhere; slope has a shape that fits x, such as [C,1,1].
func (g *Graph) PRelu(x, slope *Value) *Value {
	return g.op(DomainONNX, "PRelu", x.DType, x.Shape, []*Value{x, slope})
}
