package patch

import (
	"fmt"

	"comfygo/engine/weights"
)

// within reports that a weight of one shape can be padded to another: both have the same number of axes, none shrinks.
func within(shape, larger []int) bool {
	if len(shape) != len(larger) || len(shape) == 0 {
		return false
	}
	for i, n := range shape {
		if n > larger[i] {
			return false
		}
	}
	return true
}

// padded returns an entry with zeros after its elements on each axis (upstream: weight_adapter/base.py pad_tensor_to_shape).
func padded(e weights.Entry, shape []int) (weights.Entry, error) {
	if !within(e.Shape, shape) {
		return weights.Entry{}, fmt.Errorf("a weight of shape %v cannot be padded to %v", e.Shape, shape)
	}
	last := len(shape) - 1
	// run is the length of the pieces that are contiguous in both.
	run, longer := e.Shape[last], shape[last]
	outer := shape[:last]
	read := func(dst []float32, from int) error {
		for len(dst) > 0 {
			row, col := from/longer, from%longer
			n := min(longer-col, len(dst))
			clear(dst[:n])
			if at, ok := place(row, outer, e.Shape); ok && col < run {
				k := min(run-col, n)
				if err := weights.Range(dst[:k], e, at*run+col); err != nil {
					return err
				}
			}
			dst, from = dst[n:], from+n
		}
		return nil
	}
	return weights.Compute(e.Name, shape, weights.Computation{Op: "pad", DType: e.DType, Parts: []weights.Entry{e}, Read: read}), nil
}

// place returns the number of the row in a tensor of shape inner that lies at row i of one whose leading axes are outer, or
// false if it is outside.
func place(i int, outer, inner []int) (int, bool) {
	at, stride := 0, 1
	for axis := len(outer) - 1; axis >= 0; axis-- {
		k := i % outer[axis]
		i /= outer[axis]
		if k >= inner[axis] {
			return 0, false
		}
		at += k * stride
		stride *= inner[axis]
	}
	return at, true
}
