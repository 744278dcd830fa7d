package onnx

import (
	"math"
	"slices"

	"comfygo/engine/dtype"
)

// Infer is the one dimension of a Reshape that follows from the others.
var Infer = D(-1)

// ShapeOf returns the run-time shape of x, or of its axes [from, to), as int64.
func (g *Graph) ShapeOf(x *Value, from, to int) *Value {
	return g.op(DomainONNX, "Shape", dtype.I64, Dims(to-from), []*Value{x}, attr{"start", int64(from)}, attr{"end", int64(to)})
}

// axis returns an axis of x, counted from the end when it is negative.
func (g *Graph) axis(op string, x *Value, axis int) int {
	i := axis
	if i < 0 {
		i += x.Rank()
	}
	if i < 0 || i >= x.Rank() {
		g.fail(op, "%v has no axis %d", x.Shape, axis)
	}
	return i
}

// Reshape gives x another shape of the same number of elements, which must hold for every value of the symbols. One
// dimension may be Infer. Sizes are constants of the graph where each but one is a number or that of the same axis of x.
func (g *Graph) Reshape(x *Value, dims ...Dim) *Value {
	out := Shape(dims).Clone()
	g.infer(x, out)
	if size, want := out.Size(), x.Shape.Size(); size != want {
		g.fail("Reshape", "%v has %v elements, %v has %v", x.Shape, want, out, size)
	}
	spec := make(Shape, len(out))
	unknown := 0
	for i, d := range out {
		switch {
		case d.Known() && d.N > 0:
			spec[i] = d
		case i < x.Rank() && x.Shape[i] == d:
			spec[i] = D(0)
		default:
			unknown++
			spec[i] = d
		}
	}
	for i := len(spec) - 1; i >= 0 && unknown > 0; i-- {
		if !spec[i].Known() {
			spec[i] = Infer
			break
		}
	}
	return g.op(DomainONNX, "Reshape", x.DType, out, []*Value{x, g.sizes(spec)})
}

// infer fills in the dimension that is Infer.
func (g *Graph) infer(x *Value, out Shape) {
	at := -1
	rest := D(1)
	for i, d := range out {
		switch {
		case d == Infer && at >= 0:
			g.fail("Reshape", "%v leaves two dimensions open", out)
		case d == Infer:
			at = i
		case d.Known() && d.N < 0:
			g.fail("Reshape", "%v has a negative dimension", out)
		default:
			rest = rest.Times(d)
		}
	}
	if at < 0 {
		return
	}
	q, ok := x.Shape.Size().Quotient(rest)
	if !ok {
		g.fail("Reshape", "the %v elements of %v are no multiple of %v, which %v wants", x.Shape.Size(), x.Shape, rest, out)
	}
	out[at] = q
}

// ReshapeLike gives x the run-time shape of ref.
func (g *Graph) ReshapeLike(x, ref *Value) *Value {
	if ref.Shape.Known() {
		return g.Reshape(x, ref.Shape...)
	}
	if a, b := x.Shape.Size(), ref.Shape.Size(); a != b {
		g.fail("Reshape", "%v has %v elements, %v has %v", x.Shape, a, ref.Shape, b)
	}
	return g.op(DomainONNX, "Reshape", x.DType, ref.Shape, []*Value{x, g.ShapeOf(ref, 0, ref.Rank())})
}

// Transpose permutes the axes.
func (g *Graph) Transpose(x *Value, perm ...int) *Value {
	if len(perm) != x.Rank() {
		g.fail("Transpose", "%v axes for rank %d", perm, x.Rank())
	}
	out := make(Shape, len(perm))
	p := make([]int64, len(perm))
	seen := make([]bool, len(perm))
	for i, a := range perm {
		if a < 0 || a >= len(perm) || seen[a] {
			g.fail("Transpose", "%v is no permutation of %d axes", perm, x.Rank())
		}
		seen[a] = true
		out[i], p[i] = x.Shape[a], int64(a)
	}
	return g.op(DomainONNX, "Transpose", x.DType, out, []*Value{x}, attr{"perm", p})
}

// Unsqueeze inserts axes of size one; axes count in the result, ascending.
func (g *Graph) Unsqueeze(x *Value, axes ...int) *Value {
	out := x.Shape.Clone()
	for _, a := range axes {
		if a < 0 || a > len(out) {
			g.fail("Unsqueeze", "axis %d of %v", a, x.Shape)
		}
		out = append(out[:a:a], append(Shape{D(1)}, out[a:]...)...)
	}
	return g.op(DomainONNX, "Unsqueeze", x.DType, out, []*Value{x, g.Ints(axes...)})
}

// Squeeze removes axes of size one; axes ascend.
func (g *Graph) Squeeze(x *Value, axes ...int) *Value {
	out := x.Shape.Clone()
	for i := len(axes) - 1; i >= 0; i-- {
		a := axes[i]
		if a < 0 || a >= len(out) || !out[a].Is(1) {
			g.fail("Squeeze", "axis %d of %v", a, x.Shape)
		}
		out = append(out[:a:a], out[a+1:]...)
	}
	return g.op(DomainONNX, "Squeeze", x.DType, out, []*Value{x, g.Ints(axes...)})
}

// Concat joins values along an axis; the sizes of the others must be equal.
func (g *Graph) Concat(axis int, xs ...*Value) *Value {
	axis = g.axis("Concat", xs[0], axis)
	out := xs[0].Shape.Clone()
	out[axis] = D(0)
	for _, x := range xs {
		if x.DType != xs[0].DType || x.Rank() != len(out) {
			g.fail("Concat", "cannot join %s%v to %s%v", x.DType, x.Shape, xs[0].DType, xs[0].Shape)
		}
		for i, d := range x.Shape {
			if i != axis && d != out[i] {
				g.fail("Concat", "shapes %v and %v differ outside axis %d", xs[0].Shape, x.Shape, axis)
			}
		}
		out[axis] = out[axis].Plus(x.Shape[axis])
	}
	if len(out) == 4 && axis == 1 && slices.ContainsFunc(xs, g.IsChannelsLast) {
		lasts := make([]*Value, len(xs))
		for i, x := range xs {
			lasts[i] = g.toLast(x)
		}
		return g.fromLast(g.op(DomainONNX, "Concat", xs[0].DType, Shape{out[0], out[2], out[3], out[1]}, lasts, attr{"axis", int64(3)}))
	}
	return g.op(DomainONNX, "Concat", xs[0].DType, out, xs, attr{"axis", int64(axis)})
}

// Split cuts x along an axis into parts of the given sizes, which make up the whole axis.
func (g *Graph) Split(x *Value, axis int, sizes ...int) []*Value {
	return g.SplitDims(x, axis, Dims(sizes...)...)
}

// SplitDims is Split into parts whose sizes may be symbolic.
func (g *Graph) SplitDims(x *Value, axis int, sizes ...Dim) []*Value {
	axis = g.axis("Split", x, axis)
	sum := D(0)
	out := make([]*Value, len(sizes))
	for i, n := range sizes {
		s := x.Shape.Clone()
		s[axis] = n
		sum = sum.Plus(n)
		out[i] = &Value{DType: x.DType, Shape: s}
	}
	if x.Shape[axis] != sum {
		g.fail("Split", "parts %v do not make up axis %d of %v", sizes, axis, x.Shape)
	}
	return g.ops(DomainONNX, "Split", out, []*Value{x, g.sizes(sizes)}, attr{"axis", int64(axis)})
}

// Slice takes elements [from, to) of one axis.
func (g *Graph) Slice(x *Value, axis, from, to int) *Value {
	return g.SliceDims(x, axis, D(from), D(to))
}

// SliceDims is Slice with bounds that may be symbolic. That they lie within the axis must show in the expressions.
func (g *Graph) SliceDims(x *Value, axis int, from, to Dim) *Value {
	axis = g.axis("Slice", x, axis)
	size := x.Shape[axis]
	if !from.AtLeast(D(0)) || !size.AtLeast(to) || !to.AtLeast(from.Plus(D(1))) {
		g.fail("Slice", "[%v,%v) of axis %d of %v", from, to, axis, x.Shape)
	}
	out := x.Shape.Clone()
	out[axis] = to.Minus(from)
	if !size.Known() { // count from the end, or up to it, where that spares a computation
		if back := size.Minus(from); !from.Known() && back.Known() {
			from = D(-back.N)
		}
		if back := size.Minus(to); back.Is(0) {
			to = D(math.MaxInt64)
		} else if !to.Known() && back.Known() {
			to = D(-back.N)
		}
	}
	return g.op(DomainONNX, "Slice", x.DType, out, []*Value{x, g.DimValue(from), g.DimValue(to), g.Ints(axis)})
}

// Expand repeats axes of size one: x broadcasts to the shape dims, whose sizes may be symbolic.
func (g *Graph) Expand(x *Value, dims ...Dim) *Value {
	spec := Shape(dims).Clone()
	off := len(dims) - x.Rank()
	if off < 0 {
		g.fail("Expand", "%v to %v", x.Shape, spec)
	}
	for i, d := range x.Shape {
		switch to := spec[off+i]; {
		case d == to:
			spec[off+i] = D(1) // as large as it is
		case !d.Is(1):
			g.fail("Expand", "%v to %v", x.Shape, Shape(dims))
		}
	}
	return g.op(DomainONNX, "Expand", x.DType, Shape(dims).Clone(), []*Value{x, g.sizes(spec)})
}

// Tile repeats x along each axis by the numbers of repeats.
func (g *Graph) Tile(x *Value, repeats ...int) *Value {
	if len(repeats) != x.Rank() {
		g.fail("Tile", "%d repeats for %v", len(repeats), x.Shape)
	}
	out := x.Shape.Clone()
	for i, n := range repeats {
		if n < 1 {
			g.fail("Tile", "%v by %v", x.Shape, repeats)
		}
		out[i] = out[i].Times(D(n))
	}
	return g.op(DomainONNX, "Tile", x.DType, out, []*Value{x, g.Ints(repeats...)})
}

// Declare returns x under an equal shape, where the writer of the graph knows more about symbolic dimensions than their
// expressions tell. It fails when the shapes differ for every value of the symbols.
func (g *Graph) Declare(x *Value, as Shape) *Value {
	if len(as) != x.Rank() {
		g.fail("Declare", "%v as %v", x.Shape, as)
	}
	for i, d := range as {
		if d.Differs(x.Shape[i]) {
			g.fail("Declare", "%v as %v", x.Shape, as)
		}
	}
	if y, ok := g.lastOf(x); ok {
		return g.fromLast(&Value{Name: y.Name, DType: y.DType, Shape: Shape{as[0], as[2], as[3], as[1]}})
	}
	return &Value{Name: x.Name, DType: x.DType, Shape: as}
}
