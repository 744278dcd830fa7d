// Package music measures what music is like over time: loudness in mel bands, onsets, tempo, beats and harmony, as librosa
// and ComfyUI's WanDancer do.
//
// It works on samples. It must not know of nodes or tensors.
package music

import (
	"math"
	"math/bits"
	"math/cmplx"
)

// transform is a discrete Fourier transform of a power of two.
type transform struct {
	n       int
	turns   []complex128 // e^(-2πik/n), k below n/2
	buffer  []complex128
	reverse []int
}

func newTransform(n int) *transform {
	t := &transform{n: n, turns: make([]complex128, n/2), buffer: make([]complex128, n), reverse: make([]int, n)}
	for k := range t.turns {
		t.turns[k] = cmplx.Rect(1, -2*math.Pi*float64(k)/float64(n))
	}
	shift := 64 - bits.Len(uint(n-1)) //nolint:gosec // at least 1
	for i := range t.reverse {
		if n > 1 {
			t.reverse[i] = int(bits.Reverse64(uint64(i)) >> shift) //nolint:gosec // below n
		}
	}
	return t
}

// run transforms what at returns for 0 … n-1. The result is overwritten by the next call.
func (t *transform) run(at func(i int) complex128) []complex128 {
	for i, r := range t.reverse {
		t.buffer[r] = at(i)
	}
	b := t.buffer
	for size := 2; size <= t.n; size *= 2 {
		half, step := size/2, t.n/size
		for from := 0; from < t.n; from += size {
			for k := range half {
				x, y := b[from+k], b[from+k+half]*t.turns[k*step]
				b[from+k], b[from+k+half] = x+y, x-y
			}
		}
	}
	return b
}

// hann is a periodic window of n values.
func hann(n int) []float64 {
	w := make([]float64, n)
	for i := range w {
		w[i] = 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/float64(n))
	}
	return w
}

// square is a number's squared size.
func square(c complex128) float64 { return real(c)*real(c) + imag(c)*imag(c) }
