// Package dtype names the element types that weight files, graphs and the model runtime share.
//
// It knows sizes and names only: conversion of values lives in engine/weights, and the numbers that
// the ONNX format gives to these types live in engine/onnx.
package dtype

// DType is an element type. The zero value is Invalid.
type DType uint8

// The element types, named as safetensors headers name them.
const (
	Invalid DType = iota
	F64
	F32
	F16
	BF16
	F8E4M3
	F8E5M2
	I64
	I32
	I16
	I8
	U8
	Bool
)

var names = [...]string{"INVALID", "F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "I64", "I32", "I16", "I8", "U8", "BOOL"}

var sizes = [...]int{0, 8, 4, 2, 2, 1, 1, 8, 4, 2, 1, 1, 1}

// String returns the safetensors name, such as "BF16".
func (d DType) String() string {
	if int(d) < len(names) {
		return names[d]
	}
	return names[Invalid]
}

// Size returns the bytes of one element; 0 for Invalid.
func (d DType) Size() int {
	if int(d) < len(sizes) {
		return sizes[d]
	}
	return 0
}

// IsFloat reports whether d is a floating-point type.
func (d DType) IsFloat() bool { return d >= F64 && d <= F8E5M2 }

// Parse returns the type with the given safetensors name; false if it is missing.
func Parse(name string) (DType, bool) {
	for i, n := range names {
		if i > 0 && n == name {
			return DType(i), true
		}
	}
	return Invalid, false
}
