// Package tensor holds the host-side values that nodes pass to each other: float32, row-major, dense.
//
// Images are [B,H,W,C] in 0…1, masks [B,H,W] in 0…1, latents [B,C,H,W], text encodings [B,tokens,width].
// A Tensor that has been handed on is never written to again: cached outputs are shared between prompts.
package tensor

import "fmt"

// Tensor is a dense row-major array of float32. len(Data) is the product of Shape.
type Tensor struct {
	Shape []int
	Data  []float32
	// Type names the type that the tensor has upstream, as torch does ("uint8", "bool", "int64"); "" is float32. Classes in Python
	// get it so. What is computed from the tensor does not have it.
	Type string
}

// New returns a tensor of zeros.
func New(shape ...int) *Tensor {
	return &Tensor{Shape: append([]int(nil), shape...), Data: make([]float32, Count(shape))}
}

// From wraps data without copying it. It fails when the shape does not hold exactly len(data) elements.
func From(data []float32, shape ...int) (*Tensor, error) {
	if Count(shape) != len(data) {
		return nil, fmt.Errorf("making a tensor of shape %v: %d values given", shape, len(data))
	}
	return &Tensor{Shape: append([]int(nil), shape...), Data: data}, nil
}

// Count returns the number of elements of a shape; 1 for the empty shape.
func Count(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// Len returns the number of elements.
func (t *Tensor) Len() int { return len(t.Data) }

// Dim returns the size of axis i; negative i counts from the end.
func (t *Tensor) Dim(i int) int {
	if i < 0 {
		i += len(t.Shape)
	}
	return t.Shape[i]
}

// Clone returns a copy that shares nothing with t.
func (t *Tensor) Clone() *Tensor {
	return &Tensor{Shape: append([]int(nil), t.Shape...), Data: append([]float32(nil), t.Data...)}
}

// Reshape returns a view of the same data under another shape of the same size. One dimension may be -1.
func (t *Tensor) Reshape(shape ...int) (*Tensor, error) {
	s := append([]int(nil), shape...)
	free, known := -1, 1
	for i, d := range s {
		if d == -1 && free < 0 {
			free = i
			continue
		}
		known *= d
	}
	if free >= 0 && known > 0 {
		s[free] = len(t.Data) / known
	}
	if Count(s) != len(t.Data) {
		return nil, fmt.Errorf("reshaping %v to %v: sizes differ", t.Shape, shape)
	}
	return &Tensor{Shape: s, Data: t.Data}, nil
}

// Index returns element i of the first axis as a view with that axis removed.
func (t *Tensor) Index(i int) *Tensor {
	n := Count(t.Shape[1:])
	return &Tensor{Shape: append([]int(nil), t.Shape[1:]...), Data: t.Data[i*n : (i+1)*n : (i+1)*n]}
}

// Slice returns elements [from, to) of the first axis as a view.
func (t *Tensor) Slice(from, to int) *Tensor {
	n := Count(t.Shape[1:])
	s := append([]int(nil), t.Shape...)
	s[0] = to - from
	return &Tensor{Shape: s, Data: t.Data[from*n : to*n : to*n]}
}

// SameShape reports whether two tensors have equal shapes.
func SameShape(a, b *Tensor) bool {
	if len(a.Shape) != len(b.Shape) {
		return false
	}
	for i, d := range a.Shape {
		if d != b.Shape[i] {
			return false
		}
	}
	return true
}
