// Package nn contains the layers of model families: linear, convolution, norms, attention, residual blocks. Each takes its
// weights by name from a weights.Scope and writes operators into an onnx.Graph.
//
// A layer is written once; the Target selects the operators for the device. The package does not know particular models,
// samplers or the runtime.
package nn

import (
	"fmt"

	"comfygo/engine/dtype"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// Builder writes layers into a graph for a target.
type Builder struct {
	*onnx.Graph
	Target Target
	// Coarse lets 3x3 convolutions in bfloat16 have the errors of networks whose values are all in bfloat16: for networks whose
	// results are rounded to 8 bits.
	Coarse bool
	// Adapters, when set, change the weights of Linear, Conv2d, UpsampleConv and ConvND: the graph gets a branch beside each
	// weight for which they have some, with parameters for the factors.
	Adapters Adapters

	// product is the last product with a weight that is made during the run; see after.
	product *onnx.Value
}

// behind returns the value that the weight of the next product, with x, waits for if it is made during the run: the product
// before. So at most one of these weights is in memory at a time, in whatever order the runtime runs the operators.
func (b *Builder) behind(x *onnx.Value) *onnx.Value {
	if b.product == nil {
		return x
	}
	return b.product
}

// Const returns a rank-0 constant of the compute type.
func (b *Builder) Const(v float32) *onnx.Value { return b.Scalar(b.Target.Compute, v) }

// small takes a weight that is always held in the compute type: norms, biases, position tables.
// as, if given, is the shape under which the graph sees it.
func (b *Builder) small(r *weights.Ref, as ...int) *onnx.Value {
	if len(as) == 0 {
		as = r.Entry.Shape
	}
	name := r.Name
	if len(as) != len(r.Entry.Shape) {
		name = fmt.Sprintf("%s%v", r.Name, as)
	}
	return b.weight(name, b.Target.Compute, as, Layout{Entry: r.Entry, Form: Plain, DType: b.Target.Compute})
}

// weight declares an initializer. A weight that is missing is declared too: its scope knows, and the graph is never run.
func (b *Builder) weight(name string, t dtype.DType, shape []int, src Layout) *onnx.Value {
	src.Via = b.Target.Weights
	return b.Weight(name, t, shape, src)
}

// optional is small for a weight that may be nil.
func (b *Builder) optional(r *weights.Ref, as ...int) *onnx.Value {
	if r == nil {
		return nil
	}
	return b.small(r, as...)
}

// Table takes a weight that is used unchanged, in the compute type, such as a table of positions.
func (b *Builder) Table(r *weights.Ref) *onnx.Value { return b.small(r) }
