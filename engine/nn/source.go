package nn

import (
	"fmt"

	"comfygo/engine/dtype"
	"comfygo/engine/weights"
)

// Form is the layout in which a graph wants a weight.
type Form uint8

const (
	// Plain is the layout of the file, in the element type Source.DType.
	Plain Form = iota
	// Transposed is [K,N] of a weight that lies in the file as [N,K].
	Transposed
	// Blocked is a convolution weight [O,I,kh,kw] in ONNX Runtime's CPU layout OIHWBiBo, or OIHWBo when I is less than
	// a block; O is padded with zeros to a multiple of the block.
	Blocked
	// Padded is a vector padded with zeros to a multiple of the block.
	Padded
	// Phase is the 2x2 convolution [O,I,2,2] that gives one of the four phases of "nearest upsampling by two, then a
	// 3x3 convolution", blocked when Block is set.
	Phase
	// Last is [O,kh,kw,I] of a convolution weight [O,I,kh,kw].
	Last
)

// Source describes the origin of an initializer's bytes. This package stores it in onnx.Initializer.Source.
type Source interface {
	// Key identifies the bytes among those that all sources over all files give.
	Key() string
	// Entries lists the stored tensors that the bytes are made of; they may lie in several files.
	Entries() []weights.Entry
	// InPlace returns the stored tensor whose bytes can be used unchanged, or false if the bytes have to be made.
	InPlace() (weights.Entry, bool)
	// Variable reports that the bytes belong to a weight that may be replaced; see weights.Entry.Variable.
	Variable() bool
	// Size returns the number of bytes.
	Size() int
	// Tasks cuts the making of the bytes into independent pieces of work, so that several CPU cores can share a large
	// weight. dst has Size bytes and is aligned to 4; the bytes are complete when every task has returned nil.
	Tasks(dst []byte, k Kernels) []func() error
}

var _ Source = Layout{}

// Layout is a Source that gives one tensor, stored or computed, in the layout and element type that a graph wants.
type Layout struct {
	Entry weights.Entry
	Form  Form
	DType dtype.DType
	Block int
	// Via, when set, is an intermediate element type to which values are rounded: the weight type that the user requested.
	Via dtype.DType
	// Row and Col choose the phase of form Phase: 0 or 1.
	Row, Col int
}

// InPlace implements Source.
func (s Layout) InPlace() (weights.Entry, bool) {
	ok := s.Form == Plain && s.DType == s.Entry.DType && !s.Entry.Computed() && !s.Entry.Made() && s.Entry.Scheme == nil && (s.Via == dtype.Invalid || s.Via == s.DType)
	return s.Entry, ok
}

// Entries implements Source.
func (s Layout) Entries() []weights.Entry { return s.Entry.Parts() }

// Variable implements Source.
func (s Layout) Variable() bool { return s.Entry.Variable() }

// Key implements Source.
func (s Layout) Key() string {
	return fmt.Sprintf("%s/%d/%s/%s/%d/%d%d", s.Entry.Key(), s.Form, s.DType, s.Via, s.Block, s.Row, s.Col)
}

// Size implements Source.
func (s Layout) Size() int {
	n := s.Entry.Count()
	switch s.Form {
	case Blocked:
		n = n / s.Entry.Shape[0] * roundUp(s.Entry.Shape[0], s.Block)
	case Padded:
		n = roundUp(n, s.Block)
	case Phase:
		n = s.Entry.Shape[0] * s.Entry.Shape[1] * 4
	}
	return n * s.DType.Size()
}

func roundUp(n, block int) int { return (n + block - 1) / block * block }
