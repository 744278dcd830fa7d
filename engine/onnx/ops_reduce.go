package onnx

import (
	"slices"

	"comfygo/engine/dtype"
)

// reduce folds axes of x, which stay with size one when keep is set and go otherwise.
func (g *Graph) reduce(op string, x *Value, keep bool, axes []int) *Value {
	at := make([]int, len(axes))
	for i, a := range axes {
		at[i] = g.axis(op, x, a)
	}
	if len(at) == 0 {
		g.fail(op, "no axes of %v are given", x.Shape)
	}
	var out Shape
	for i, d := range x.Shape {
		switch {
		case !slices.Contains(at, i):
			out = append(out, d)
		case keep:
			out = append(out, D(1))
		}
	}
	var keepdims int64
	if keep {
		keepdims = 1
	}
	return g.op(DomainONNX, op, x.DType, out, []*Value{x, g.Ints(at...)}, attr{"keepdims", keepdims})
}

// ReduceMean averages over axes, which stay with size one when keep is set.
func (g *Graph) ReduceMean(x *Value, keep bool, axes ...int) *Value {
	return g.reduce("ReduceMean", x, keep, axes)
}

// ReduceSum adds up over axes, which stay with size one when keep is set.
func (g *Graph) ReduceSum(x *Value, keep bool, axes ...int) *Value {
	return g.reduce("ReduceSum", x, keep, axes)
}

// ReduceMax takes the largest over axes, which stay with size one when keep is set.
func (g *Graph) ReduceMax(x *Value, keep bool, axes ...int) *Value {
	return g.inFloat32(x, func(x *Value) *Value { return g.reduce("ReduceMax", x, keep, axes) })
}

// ReduceMin takes the smallest over axes, which stay with size one when keep is set.
func (g *Graph) ReduceMin(x *Value, keep bool, axes ...int) *Value {
	return g.inFloat32(x, func(x *Value) *Value { return g.reduce("ReduceMin", x, keep, axes) })
}

// ReduceL2 takes the root of the sum of squares over axes, which stay with size one when keep is set.
func (g *Graph) ReduceL2(x *Value, keep bool, axes ...int) *Value {
	return g.inFloat32(x, func(x *Value) *Value { return g.reduce("ReduceL2", x, keep, axes) })
}

// CumSum adds up x along an axis: element i of the result is the sum of elements 0 to i.
func (g *Graph) CumSum(x *Value, axis int) *Value {
	axis = g.axis("CumSum", x, axis)
	return g.inFloat32(x, func(x *Value) *Value {
		return g.op(DomainONNX, "CumSum", x.DType, x.Shape, []*Value{x, g.scalarInt(axis)})
	})
}

// scalarInt returns a rank-0 int64 constant.
func (g *Graph) scalarInt(n int) *Value { return g.Reshape(g.Ints(n)) }

// TopK returns the k largest elements along an axis, largest first, and their indices as int64.
func (g *Graph) TopK(x *Value, axis, k int) (values, indices *Value) {
	axis = g.axis("TopK", x, axis)
	if k < 1 || x.Shape[axis].Known() && k > x.Shape[axis].N {
		g.fail("TopK", "%d of axis %d of %v", k, axis, x.Shape)
	}
	shape := x.Shape.Clone()
	shape[axis] = D(k)
	values = g.inFloat32(x, func(x *Value) *Value {
		out := g.ops(DomainONNX, "TopK", []*Value{{DType: x.DType, Shape: shape}, {DType: dtype.I64, Shape: shape}},
			[]*Value{x, g.Ints(k)}, attr{"axis", int64(axis)}, attr{"largest", int64(1)}, attr{"sorted", int64(1)})
		indices = out[1]
		return out[0]
	})
	return values, indices
}

// compare is an element-wise operator with a Bool result. No comparison has a bfloat16 kernel.
func (g *Graph) compare(op string, a, b *Value) *Value {
	shape := g.broadcast(op, a, b)
	if a.DType == dtype.BF16 {
		a, b = g.Cast(a, dtype.F32), g.Cast(b, dtype.F32)
	}
	return g.op(DomainONNX, op, dtype.Bool, shape, []*Value{a, b})
}

// Less returns a<b with broadcasting.
func (g *Graph) Less(a, b *Value) *Value { return g.compare("Less", a, b) }

// Greater returns a>b with broadcasting.
func (g *Graph) Greater(a, b *Value) *Value { return g.compare("Greater", a, b) }

// Equal returns a==b with broadcasting.
func (g *Graph) Equal(a, b *Value) *Value { return g.compare("Equal", a, b) }

// Where returns a where cond (Bool) holds and b elsewhere, with broadcasting of all three.
func (g *Graph) Where(cond, a, b *Value) *Value {
	if cond.DType != dtype.Bool {
		g.fail("Where", "the condition is %s", cond.DType)
	}
	out := g.broadcastShapes("Where", cond.Shape, g.broadcast("Where", a, b))
	return g.op(DomainONNX, "Where", a.DType, out, []*Value{cond, a, b})
}
