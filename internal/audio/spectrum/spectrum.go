// Package spectrum has Fourier transforms and mel filters of sounds.
//
// It works on samples. It must not know of nodes, tensors or models.
package spectrum

import (
	"math"
	"math/bits"
	"math/cmplx"
)

// Transform is a discrete Fourier transform of n values: an odd number of transforms of a power of two.
type Transform struct {
	n, odd  int
	turns   []complex128 // e^(-2πik/n), k below n
	buffer  []complex128
	sums    []complex128
	reverse []int
}

// New returns a transform of n values, at least 1.
func New(n int) *Transform {
	pow := n & -n
	t := &Transform{n: n, odd: n / pow, turns: make([]complex128, n), buffer: make([]complex128, n), reverse: make([]int, pow)}
	for k := range t.turns {
		t.turns[k] = cmplx.Rect(1, -2*math.Pi*float64(k)/float64(n))
	}
	shift := 64 - bits.Len(uint(pow-1)) //nolint:gosec // at least 1
	for i := range t.reverse {
		if pow > 1 {
			t.reverse[i] = int(bits.Reverse64(uint64(i)) >> shift) //nolint:gosec // below n
		}
	}
	if t.odd > 1 {
		t.sums = make([]complex128, n)
	}
	return t
}

// Run transforms what at returns for 0 … n-1. The result is overwritten by the next call.
func (t *Transform) Run(at func(i int) complex128) []complex128 {
	pow := len(t.reverse)
	for r := range t.odd {
		part := t.buffer[r*pow : (r+1)*pow]
		for i, to := range t.reverse {
			part[to] = at(i*t.odd + r)
		}
		t.butterflies(part)
	}
	if t.odd == 1 {
		return t.buffer
	}
	for k := range t.sums {
		sum := t.buffer[k%pow]
		for r := 1; r < t.odd; r++ {
			sum += t.buffer[r*pow+k%pow] * t.turns[r*k%t.n]
		}
		t.sums[k] = sum
	}
	return t.sums
}

// butterflies transforms values in bit-reversed order; their number is a power of two.
func (t *Transform) butterflies(b []complex128) {
	for size := 2; size <= len(b); size *= 2 {
		half, step := size/2, t.n/size
		for from := 0; from < len(b); from += size {
			for k := range half {
				x, y := b[from+k], b[from+k+half]*t.turns[k*step]
				b[from+k], b[from+k+half] = x+y, x-y
			}
		}
	}
}

// Hann is a periodic window of n values.
func Hann(n int) []float64 {
	w := make([]float64, n)
	for i := range w {
		w[i] = 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/float64(n))
	}
	return w
}

// Square is a number's squared size.
func Square(c complex128) float64 { return real(c)*real(c) + imag(c)*imag(c) }
