package onnx

import (
	"comfygo/engine/dtype"
)

// ShapeOf returns the run-time shape of x, or of its axes [from, to), as int64.
func (g *Graph) ShapeOf(x *Value, from, to int) *Value {
	return g.op(DomainONNX, "Shape", dtype.I64, Dims(to-from), []*Value{x}, attr{"start", int64(from)}, attr{"end", int64(to)})
}

// Reshape gives x another shape of the same size. spec's entries are sizes, 0 (same as x's axis) or one -1 (the rest);
// as is what the result is declared to be and must agree with spec where spec is a positive number.
func (g *Graph) Reshape(x *Value, spec []int, as Shape) *Value {
	if len(spec) != len(as) {
		g.fail("Reshape", "spec %v and shape %v have different ranks", spec, as)
	}
	for i, n := range spec {
		switch {
		case n > 0 && as[i] != D(n), n == 0 && (i >= x.Rank() || as[i] != x.Shape[i]):
			g.fail("Reshape", "spec %v of %v does not give %v", spec, x.Shape, as)
		}
	}
	g.checkSize(x.Shape, as)
	return g.op(DomainONNX, "Reshape", x.DType, as, []*Value{x, g.Ints(spec...)})
}

// ReshapeLike gives x the run-time shape of ref.
func (g *Graph) ReshapeLike(x, ref *Value) *Value {
	known := true
	spec := make([]int, ref.Rank())
	for i, d := range ref.Shape {
		known = known && d.Known()
		spec[i] = d.N
	}
	if known {
		return g.Reshape(x, spec, ref.Shape)
	}
	return g.op(DomainONNX, "Reshape", x.DType, ref.Shape, []*Value{x, g.ShapeOf(ref, 0, ref.Rank())})
}

// checkSize fails when both shapes are fully known and their sizes differ.
func (g *Graph) checkSize(a, b Shape) {
	size := func(s Shape) (int, bool) {
		n := 1
		for _, d := range s {
			if !d.Known() {
				return 0, false
			}
			n *= d.N
		}
		return n, true
	}
	na, ka := size(a)
	nb, kb := size(b)
	if ka && kb && na != nb {
		g.fail("Reshape", "%v has %d elements, %v has %d", a, na, b, nb)
	}
}

// Transpose permutes the axes.
func (g *Graph) Transpose(x *Value, perm ...int) *Value {
	if len(perm) != x.Rank() {
		g.fail("Transpose", "%v axes for rank %d", perm, x.Rank())
	}
	out := make(Shape, len(perm))
	p := make([]int64, len(perm))
	for i, a := range perm {
		out[i], p[i] = x.Shape[a], int64(a)
	}
	return g.op(DomainONNX, "Transpose", x.DType, out, []*Value{x}, attr{"perm", p})
}

// Concat joins values along an axis whose sizes are known.
func (g *Graph) Concat(axis int, xs ...*Value) *Value {
	out := xs[0].Shape.Clone()
	if axis < 0 {
		axis += len(out)
	}
	sum := 0
	for _, x := range xs {
		if x.DType != xs[0].DType || x.Rank() != len(out) || !x.Shape[axis].Known() {
			g.fail("Concat", "cannot join %s%v to %s%v", x.DType, x.Shape, xs[0].DType, xs[0].Shape)
		}
		for i, d := range x.Shape {
			if i != axis && d != out[i] {
				g.fail("Concat", "shapes %v and %v differ outside axis %d", xs[0].Shape, x.Shape, axis)
			}
		}
		sum += x.Shape[axis].N
	}
	out[axis] = D(sum)
	return g.op(DomainONNX, "Concat", xs[0].DType, out, xs, attr{"axis", int64(axis)})
}

// Split cuts x along an axis of known size into parts of the given sizes.
func (g *Graph) Split(x *Value, axis int, sizes ...int) []*Value {
	if axis < 0 {
		axis += x.Rank()
	}
	sum := 0
	out := make([]*Value, len(sizes))
	for i, n := range sizes {
		s := x.Shape.Clone()
		s[axis] = D(n)
		sum += n
		out[i] = &Value{DType: x.DType, Shape: s}
	}
	if x.Shape[axis] != D(sum) {
		g.fail("Split", "parts %v do not make up axis %d of %v", sizes, axis, x.Shape)
	}
	return g.ops(DomainONNX, "Split", out, []*Value{x, g.Ints(sizes...)}, attr{"axis", int64(axis)})
}

// Slice takes elements [from, to) of one axis of known size.
func (g *Graph) Slice(x *Value, axis, from, to int) *Value {
	if axis < 0 {
		axis += x.Rank()
	}
	if !x.Shape[axis].Known() || from < 0 || to > x.Shape[axis].N || from >= to {
		g.fail("Slice", "[%d,%d) of axis %d of %v", from, to, axis, x.Shape)
	}
	out := x.Shape.Clone()
	out[axis] = D(to - from)
	return g.op(DomainONNX, "Slice", x.DType, out, []*Value{x, g.Ints(from), g.Ints(to), g.Ints(axis)})
}

// Unsqueeze inserts axes of size one.
func (g *Graph) Unsqueeze(x *Value, axes ...int) *Value {
	out := x.Shape.Clone()
	for _, a := range axes {
		out = append(out[:a:a], append(Shape{D(1)}, out[a:]...)...)
	}
	return g.op(DomainONNX, "Unsqueeze", x.DType, out, []*Value{x, g.Ints(axes...)})
}

// ResizeNearest resizes the last two axes of [B,C,H,W] to those of like, as torch's nearest interpolation does
// (source index = floor(i·in/out)).
func (g *Graph) ResizeNearest(x, like *Value) *Value {
	if x.Rank() != 4 || like.Rank() != 4 {
		g.fail("Resize", "ranks of %v and %v", x.Shape, like.Shape)
	}
	sizes := g.op(DomainONNX, "Concat", dtype.I64, Dims(4), []*Value{g.ShapeOf(x, 0, 2), g.ShapeOf(like, 2, 4)}, attr{"axis", int64(0)})
	out := Shape{x.Dim(0), x.Dim(1), like.Dim(2), like.Dim(3)}
	return g.op(DomainONNX, "Resize", x.DType, out, []*Value{x, nil, nil, sizes},
		attr{"mode", "nearest"}, attr{"nearest_mode", "floor"}, attr{"coordinate_transformation_mode", "asymmetric"})
}

// UpsampleNearest repeats each element of the last two axes factor times in both directions.
func (g *Graph) UpsampleNearest(x *Value, factor int) *Value {
	out := Shape{x.Dim(0), x.Dim(1), scaled(x.Dim(2), factor), scaled(x.Dim(3), factor)}
	f := float32(factor)
	return g.op(DomainONNX, "Resize", x.DType, out, []*Value{x, nil, g.Floats([]float32{1, 1, f, f}, 4)},
		attr{"mode", "nearest"}, attr{"nearest_mode", "floor"}, attr{"coordinate_transformation_mode", "asymmetric"})
}

// DepthToSpace turns [B,C·b²,H,W] into [B,C,H·b,W·b]; channel (i·b+j)·C+c becomes pixel (i,j) of channel c (mode DCR).
func (g *Graph) DepthToSpace(x *Value, block int) *Value {
	c := x.Dim(1)
	if !c.Known() || c.N%(block*block) != 0 {
		g.fail("DepthToSpace", "channels %v for block %d", c, block)
	}
	out := Shape{x.Dim(0), D(c.N / block / block), scaled(x.Dim(2), block), scaled(x.Dim(3), block)}
	return g.op(DomainONNX, "DepthToSpace", x.DType, out, []*Value{x}, attr{"blocksize", int64(block)}, attr{"mode", "DCR"})
}

// Pad adds zeros before and after the last two axes of [B,C,H,W].
func (g *Graph) Pad(x *Value, top, left, bottom, right int) *Value {
	out := Shape{x.Dim(0), x.Dim(1), plus(x.Dim(2), top+bottom), plus(x.Dim(3), left+right)}
	return g.op(DomainONNX, "Pad", x.DType, out, []*Value{x, g.Ints(0, 0, top, left, 0, 0, bottom, right)})
}

// Declare returns x under an equal shape that is spelled differently, where the writer of the graph knows more about
// symbolic dimensions than their names tell. Known dimensions must agree.
func (g *Graph) Declare(x *Value, as Shape) *Value {
	if len(as) != x.Rank() {
		g.fail("Declare", "%v as %v", x.Shape, as)
	}
	for i, d := range as {
		if d.Known() && x.Shape[i].Known() && d != x.Shape[i] {
			g.fail("Declare", "%v as %v", x.Shape, as)
		}
	}
	return &Value{Name: x.Name, DType: x.DType, Shape: as}
}
