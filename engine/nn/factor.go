package nn

import (
	"fmt"
	"slices"

	"comfygo/engine/dtype"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// role is which factor of a chain of branches something is.
type role uint8

const (
	down role = iota
	mid
	up
	strength
)

var roleNames = [...]string{down: "down", mid: "mid", up: "up", strength: "strength"}

// Factor describes the content of a parameter of a graph: one factor of the branches of a weight. It is the Source of such
// parameters. The user of the session provides the branches for each run: those of any Adapters whose branches have the
// structures of those that the graph was written with.
type Factor struct {
	site
	chain int
	role  role
	// dtype is the element type of the parameter, compute the type that is computed in.
	dtype, compute dtype.DType
	// block is the number to a multiple of which the rank is padded.
	block int
}

// Name is the name of the parameter.
func (f Factor) Name() string {
	return fmt.Sprintf("%s[%d:%d].lora%d.%s", f.key, f.from, f.from+f.shape[0], f.chain, roleNames[f.role])
}

// IsStrength reports whether the parameter holds strengths, which Strengths returns; otherwise Source returns its content.
func (f Factor) IsStrength() bool { return f.role == strength }

// dims is the shape of the parameter, its rank being a symbol.
func (f Factor) dims(rs []Branch, rank onnx.Dim) onnx.Shape {
	spatial := onnx.Dims(f.shape[2:]...)
	ones := onnx.Dims(slices.Repeat([]int{1}, len(f.shape)-2)...)
	switch f.role {
	case strength:
		return append(onnx.Shape{rank}, ones...)
	case mid:
		return append(onnx.Shape{rank, rank}, spatial...)
	case up:
		return append(onnx.Shape{onnx.D(roundUp(f.shape[0], f.block)), rank}, ones...)
	}
	if rs[0].Mid != nil {
		spatial = ones
	}
	return append(onnx.Shape{rank, onnx.D(f.shape[1])}, spatial...)
}

// branches returns the branches of the factor's chain.
func (f Factor) branches(a Adapters) ([]Branch, error) {
	chains, err := f.chains(a)
	if err == nil && f.chain >= len(chains) {
		err = fmt.Errorf("the graph has %d branches and the adapters have %d", f.chain+1, len(chains))
	}
	if err != nil {
		return nil, fmt.Errorf("applying a LoRA to %s: %w", f.key, err)
	}
	return chains[f.chain], nil
}

// rank is the total rank of all branches, rounded up.
func (f Factor) rank(rs []Branch) int {
	n := 0
	for _, r := range rs {
		n += r.rank()
	}
	return roundUp(n, f.block)
}

// Source returns the content of the parameter for the branches of a, and its shape.
func (f Factor) Source(a Adapters) (Source, []int, error) {
	rs, err := f.branches(a)
	if err != nil {
		return nil, nil, err
	}
	e, err := f.matrix(rs)
	if err != nil {
		return nil, nil, fmt.Errorf("applying a LoRA to %s: %w (file %s)", f.key, err, rs[0].Up.File)
	}
	shape := f.shapeFor(rs)
	if e, err = e.Reshape(shape...); err != nil {
		return nil, nil, fmt.Errorf("applying a LoRA to %s: %w", f.key, err)
	}
	return Layout{Entry: e, Form: Plain, DType: f.dtype}, shape, nil
}

// Shape returns the shape of the parameter for the branches of a.
func (f Factor) Shape(a Adapters) ([]int, error) {
	rs, err := f.branches(a)
	if err != nil {
		return nil, err
	}
	return f.shapeFor(rs), nil
}

func (f Factor) shapeFor(rs []Branch) []int {
	dims := f.dims(rs, onnx.D(f.rank(rs)))
	shape := make([]int, len(dims))
	for i, d := range dims {
		shape[i] = d.N
	}
	return shape
}

// matrix joins the branches' factors. Kernels are columns of their input channels: zeros below and to the right are
// channels of zeros.
func (f Factor) matrix(rs []Branch) (weights.Entry, error) {
	rank, taps := f.rank(rs), tensor.Count(f.shape[2:])
	var parts []weights.Entry
	add := func(e weights.Entry, err error) error {
		parts = append(parts, e)
		return err
	}
	for _, r := range rs {
		var err error
		switch f.role {
		case up:
			err = add(r.Up.Place(roundUp(f.shape[0], f.block), r.rank(), r.Row, 0))
		case mid:
			err = add(r.Mid.Reshape(r.rank(), r.rank()*taps))
		default:
			err = add(r.Down.Reshape(r.rank(), r.Down.Count()/r.rank()))
		}
		if err != nil {
			return weights.Entry{}, err
		}
	}
	if f.role == up {
		e, err := weights.Concat(1, parts...)
		if err != nil {
			return e, err
		}
		return e.Place(e.Shape[0], rank, 0, 0)
	}
	e, err := weights.Concat(0, parts...)
	if err != nil {
		return e, err
	}
	if f.role == mid { // only ever one branch: its columns are channels by taps
		return e.Place(rank, rank*taps, 0, 0)
	}
	return e.Place(rank, e.Shape[1], 0, 0)
}

// Strengths returns the bytes that the parameter holds for the branches and strengths of a, and its shape.
func (f Factor) Strengths(a Adapters) ([]byte, []int, error) {
	rs, err := f.branches(a)
	if err != nil {
		return nil, nil, err
	}
	values := make([]float32, 0, f.rank(rs))
	for _, r := range rs {
		for range r.rank() {
			values = append(values, a.Strengths()[r.Strength]*r.Scale)
		}
	}
	values = values[:cap(values)] // the columns that fill the rank up are zeros
	data := make([]byte, len(values)*f.dtype.Size())
	if err := weights.FromFloat32(data, values, f.dtype); err != nil {
		return nil, nil, err
	}
	shape := append([]int{len(values)}, slices.Repeat([]int{1}, len(f.shape)-2)...)
	return data, shape, nil
}

// DType is the element type of the parameter.
func (f Factor) DType() dtype.DType { return f.dtype }
