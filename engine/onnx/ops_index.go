package onnx

import (
	"strconv"

	"comfygo/engine/dtype"
)

func (g *Graph) checkIndices(op string, indices *Value, types ...dtype.DType) {
	for _, t := range types {
		if indices.DType == t {
			return
		}
	}
	g.fail(op, "indices are %s", indices.DType)
}

// Gather picks rows of table's first axis: result is indices' shape followed by the rest of the table's.
func (g *Graph) Gather(table, indices *Value) *Value { return g.GatherAxis(table, indices, 0) }

// GatherAxis picks elements of an axis of x, whose place in the result the shape of indices (int64 or int32) takes.
func (g *Graph) GatherAxis(x, indices *Value, axis int) *Value {
	g.checkIndices("Gather", indices, dtype.I64, dtype.I32)
	axis = g.axis("Gather", x, axis)
	out := append(x.Shape[:axis:axis].Clone(), indices.Shape...)
	out = append(out, x.Shape[axis+1:]...)
	return g.op(DomainONNX, "Gather", x.DType, out, []*Value{x, indices}, attr{"axis", int64(axis)})
}

// GatherElements picks, for each place of indices, the element of x at that place with the index along axis: torch's
// gather. The other sizes of indices and x must be equal.
func (g *Graph) GatherElements(x, indices *Value, axis int) *Value {
	g.checkIndices("GatherElements", indices, dtype.I64, dtype.I32)
	axis = g.axis("GatherElements", x, axis)
	if indices.Rank() != x.Rank() {
		g.fail("GatherElements", "indices %v of %v", indices.Shape, x.Shape)
	}
	for i, d := range indices.Shape {
		if i != axis && d != x.Shape[i] {
			g.fail("GatherElements", "indices %v of %v", indices.Shape, x.Shape)
		}
	}
	return g.op(DomainONNX, "GatherElements", x.DType, indices.Shape, []*Value{x, indices}, attr{"axis", int64(axis)})
}

// ScatterND returns x with slices replaced: indices int64 [...,r] are positions in the first r axes of x, updates [..., rest
// of x] are the new values. No position may occur twice.
func (g *Graph) ScatterND(x, indices, updates *Value) *Value {
	g.checkIndices("ScatterND", indices, dtype.I64)
	r := 0
	if indices.Rank() > 0 && indices.Dim(-1).Known() {
		r = indices.Dim(-1).N
	}
	if r < 1 || r > x.Rank() || updates.DType != x.DType {
		g.fail("ScatterND", "indices %v and updates %s%v for %s%v", indices.Shape, updates.DType, updates.Shape, x.DType, x.Shape)
	}
	want := append(indices.Shape[:indices.Rank()-1].Clone(), x.Shape[r:]...)
	if !updates.Shape.Equal(want) {
		g.fail("ScatterND", "updates are %v, wanted %v", updates.Shape, want)
	}
	return g.op(DomainONNX, "ScatterND", x.DType, x.Shape, []*Value{x, indices, updates})
}

// NonZero returns the places of the elements of the vector x (Bool) that are true, int64 [n]. n is a symbol of its own whose value only a
// run knows, and which may be 0; estimates of memory take usual for it.
func (g *Graph) NonZero(x *Value, usual Dim) *Value {
	if x.DType != dtype.Bool || x.Rank() != 1 {
		g.fail("NonZero", "%s%v is no vector of booleans", x.DType, x.Shape)
	}
	name := "found" + strconv.Itoa(g.next+1)
	g.counts = append(g.counts, count{name, usual})
	return g.Squeeze(g.op(DomainONNX, "NonZero", dtype.I64, Shape{D(1), Sym(name)}, []*Value{x}), 0)
}

// count is a symbol whose value only a run knows.
type count struct {
	name  string
	usual Dim
}
