package onnx

import "comfygo/engine/dtype"

// broadcast returns the shape of an element-wise operator under ONNX (numpy) broadcasting.
func (g *Graph) broadcast(op string, a, b *Value) Shape {
	if a.DType != b.DType {
		g.fail(op, "element types %s and %s differ", a.DType, b.DType)
	}
	return g.broadcastShapes(op, a.Shape, b.Shape)
}

func (g *Graph) broadcastShapes(op string, a, b Shape) Shape {
	long, short := a, b
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
			g.fail(op, "shapes %v and %v do not broadcast", a, b)
		}
	}
	return out
}

func (g *Graph) binary(op string, a, b *Value) *Value {
	out := g.broadcast(op, a, b)
	if x, y, ok := g.pair(a, b); ok {
		return g.fromLast(g.op(DomainONNX, op, a.DType, g.broadcast(op, x, y), []*Value{x, y}))
	}
	return g.op(DomainONNX, op, a.DType, out, []*Value{a, b})
}

func (g *Graph) unary(op string, x *Value, attrs ...attr) *Value {
	return g.alike(x, func(x *Value) *Value { return g.op(DomainONNX, op, x.DType, x.Shape, []*Value{x}, attrs...) })
}

// Add returns a+b with broadcasting.
func (g *Graph) Add(a, b *Value) *Value { return g.binary("Add", a, b) }

// Sub returns a-b with broadcasting.
func (g *Graph) Sub(a, b *Value) *Value { return g.binary("Sub", a, b) }

// Mul returns a*b with broadcasting.
func (g *Graph) Mul(a, b *Value) *Value { return g.binary("Mul", a, b) }

// Div returns a/b with broadcasting.
func (g *Graph) Div(a, b *Value) *Value { return g.binary("Div", a, b) }

// Pow returns a**b with broadcasting.
func (g *Graph) Pow(a, b *Value) *Value { return g.binary("Pow", a, b) }

// Min returns the smaller of a and b with broadcasting.
func (g *Graph) Min(a, b *Value) *Value { return g.binary("Min", a, b) }

// Max returns the larger of a and b with broadcasting.
func (g *Graph) Max(a, b *Value) *Value { return g.binary("Max", a, b) }

// Sin returns the element-wise sine.
func (g *Graph) Sin(x *Value) *Value { return g.trigonometric("Sin", x) }

// Cos returns the element-wise cosine.
func (g *Graph) Cos(x *Value) *Value { return g.trigonometric("Cos", x) }

func (g *Graph) trigonometric(op string, x *Value) *Value {
	if x.DType == dtype.BF16 {
		g.need(bf16Opset)
	}
	return g.unary(op, x)
}

// Exp returns e**x element by element.
func (g *Graph) Exp(x *Value) *Value { return g.unary("Exp", x) }

// Log returns the natural logarithm element by element.
func (g *Graph) Log(x *Value) *Value {
	return g.inFloat32(x, func(x *Value) *Value { return g.unary("Log", x) })
}

// Sqrt returns the square root element by element.
func (g *Graph) Sqrt(x *Value) *Value { return g.unary("Sqrt", x) }

// Neg returns -x.
func (g *Graph) Neg(x *Value) *Value { return g.unary("Neg", x) }

// Abs returns the absolute value element by element.
func (g *Graph) Abs(x *Value) *Value { return g.unary("Abs", x) }

// Round rounds to whole numbers, halves to even ones.
func (g *Graph) Round(x *Value) *Value { return g.unary("Round", x) }

// Tanh returns the element-wise hyperbolic tangent.
func (g *Graph) Tanh(x *Value) *Value { return g.unary("Tanh", x) }

// Softplus returns log(1+e**x) element by element.
func (g *Graph) Softplus(x *Value) *Value {
	return g.inFloat32(x, func(x *Value) *Value { return g.unary("Softplus", x) })
}

// Clip bounds x element by element.
func (g *Graph) Clip(x *Value, low, high float32) *Value {
	if low > high {
		g.fail("Clip", "bounds %v and %v", low, high)
	}
	return g.inFloat32(x, func(x *Value) *Value {
		return g.op(DomainONNX, "Clip", x.DType, x.Shape, []*Value{x, g.Scalar(x.DType, low), g.Scalar(x.DType, high)})
	})
}

// Relu returns max(x, 0).
func (g *Graph) Relu(x *Value) *Value { return g.unary("Relu", x) }

// Sigmoid returns 1/(1+e**-x).
func (g *Graph) Sigmoid(x *Value) *Value { return g.unary("Sigmoid", x) }

// SiLU returns x*sigmoid(x).
func (g *Graph) SiLU(x *Value) *Value { return g.QuickGelu(x, 1) }

// QuickGelu returns x*sigmoid(alpha*x), with ONNX Runtime's fused operator.
func (g *Graph) QuickGelu(x *Value, alpha float32) *Value {
	return g.alike(x, func(x *Value) *Value {
		return g.op(DomainMicrosoft, "QuickGelu", x.DType, x.Shape, []*Value{x}, attr{"alpha", alpha})
	})
}

// Gelu returns the exact (erf) GELU, or its tanh form.
func (g *Graph) Gelu(x *Value, tanh bool) *Value {
	form := "none"
	if tanh {
		form = "tanh"
	}
	return g.unary("Gelu", x, attr{"approximate", form})
}

// Cast converts x to type t; if x already has it, Cast returns x itself.
func (g *Graph) Cast(x *Value, t dtype.DType) *Value {
	if x.DType == t {
		return x
	}
	return g.alike(x, func(x *Value) *Value {
		return g.op(DomainONNX, "Cast", t, x.Shape, []*Value{x}, attr{"to", int64(elemType(t))})
	})
}

// Softmax normalises over the given axis.
func (g *Graph) Softmax(x *Value, axis int) *Value {
	return g.op(DomainONNX, "Softmax", x.DType, x.Shape, []*Value{x}, attr{"axis", int64(axis)})
}

// MatMul multiplies the last two axes, broadcasting the others: [..,M,K] x [..,K,N] = [..,M,N].
func (g *Graph) MatMul(a, b *Value) *Value {
	if a.DType != b.DType {
		g.fail("MatMul", "element types %s and %s differ", a.DType, b.DType)
	}
	if a.Rank() < 2 || b.Rank() < 2 || a.Dim(-1) != b.Dim(-2) {
		g.fail("MatMul", "shapes %v and %v do not match", a.Shape, b.Shape)
	}
	out := g.broadcastShapes("MatMul", a.Shape[:a.Rank()-2], b.Shape[:b.Rank()-2])
	out = append(out, a.Dim(-2), b.Dim(-1))
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

// LeakyRelu returns x where it is positive and alpha*x elsewhere.
func (g *Graph) LeakyRelu(x *Value, alpha float32) *Value {
	return g.inFloat32(x, func(x *Value) *Value { return g.unary("LeakyRelu", x, attr{"alpha", alpha}) })
}

// PRelu returns x where it is positive and slope*x elsewhere; slope has a shape that fits x, such as [C,1,1].
func (g *Graph) PRelu(x, slope *Value) *Value {
	return g.inFloat32(x, func(x *Value) *Value {
		return g.op(DomainONNX, "PRelu", x.DType, x.Shape, []*Value{x, g.Cast(slope, x.DType)})
	})
}
