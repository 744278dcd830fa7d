// Package graphtest runs graphs on the CPU for tests, so that an operator or a layer can be compared with a reference
// that the test computes in plain Go.
package graphtest

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Array is a row-major tensor of a reference.
type Array struct {
	Shape []int
	Data  []float32
}

// Zeros returns an array of zeros.
func Zeros(shape ...int) Array {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return Array{shape, make([]float32, n)}
}

// Random returns normal numbers that depend on the shape alone.
func Random(shape ...int) Array {
	seed := uint64(len(shape))
	for _, d := range shape {
		seed = seed*31 + uint64(d)
	}
	r := rand.New(rand.NewPCG(seed, 7))
	a := Zeros(shape...)
	for i := range a.Data {
		a.Data[i] = float32(r.NormFloat64())
	}
	return a
}

// Filled returns an array of the given shape with f's values.
func Filled(shape []int, f func(index []int) float32) Array {
	a := Zeros(shape...)
	a.Each(func(index []int) { a.Data[a.Offset(index...)] = f(index) })
	return a
}

// At returns an element.
func (a Array) At(index ...int) float32 { return a.Data[a.Offset(index...)] }

// Offset returns the position of an element in Data.
func (a Array) Offset(index ...int) int {
	n := 0
	for i, d := range a.Shape {
		n = n*d + index[i]
	}
	return n
}

// Each calls f for every index of the shape, in order; f must not keep it.
func (a Array) Each(f func(index []int)) {
	index := make([]int, len(a.Shape))
	for range a.Data {
		f(index)
		for i := len(index) - 1; i >= 0; i-- {
			if index[i]++; index[i] < a.Shape[i] {
				break
			}
			index[i] = 0
		}
	}
}

// Same compares with the reference, relative to its largest element. ONNX Runtime adds in another order than the
// reference, in float32: that is the tolerance.
func Same(t *testing.T, got, want Array) {
	t.Helper()
	if !slices.Equal(got.Shape, want.Shape) {
		t.Fatalf("shape %v, want %v", got.Shape, want.Shape)
	}
	largest := 1e-6
	for _, v := range want.Data {
		largest = max(largest, math.Abs(float64(v)))
	}
	for i := range want.Data {
		if d := math.Abs(float64(got.Data[i] - want.Data[i])); !(d <= 5e-6*largest) {
			t.Fatalf("element %d: got %v, want %v", i, got.Data[i], want.Data[i])
		}
	}
}
