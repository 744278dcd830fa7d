package patch

import (
	"fmt"
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
)

// FreeU strengthens the backbone of a U-Net and weakens low frequencies of its skip connections at the two lowest resolutions
// of the output half (Si et al. 2023, arXiv:2309.11497; upstream: nodes_freelunch.py).
type FreeU struct {
	// B1 and S1 are the factors of the backbone and of the low frequencies at four times the width of the first level, B2 and
	// S2 at twice the width.
	B1, B2, S1, S2 float32
	// ByMean scales the backbone's factor by the mean of the channels at each position (the second version).
	ByMean bool
}

var (
	_ BlockPatch = FreeU{}
	_ SizedPatch = FreeU{}
)

// Point implements GraphPatch.
func (FreeU) Point() Point { return OutputBlock }

// Digest implements GraphPatch.
func (f FreeU) Digest() string {
	return fmt.Sprintf("%g %g %g %g %t", f.B1, f.B2, f.S1, f.S2, f.ByMean)
}

// Sized implements SizedPatch.
func (FreeU) Sized() {}

// Block implements BlockPatch.
func (f FreeU) Block(b *nn.Builder, at Site, h, skip *onnx.Value) (newH, newSkip *onnx.Value) {
	var backbone, low float32
	switch h.Dim(1).N {
	case 4 * at.Model:
		backbone, low = f.B1, f.S1
	case 2 * at.Model:
		backbone, low = f.B2, f.S2
	default:
		return h, skip
	}
	n := h.Dim(1).N
	parts := b.Split(h, 1, n/2, n-n/2)
	factor := b.Const(backbone)
	if f.ByMean {
		mean := b.ReduceMean(h, true, 1)
		least, most := b.ReduceMin(mean, true, 2, 3), b.ReduceMax(mean, true, 2, 3)
		share := b.Div(b.Sub(mean, least), b.Sub(most, least))
		factor = b.Add(b.Mul(share, b.Const(backbone-1)), b.Const(1))
	}
	changed := b.Concat(1, b.Mul(parts[0], factor), parts[1])
	if skip == h { // upstream changes h in place; in a network without a middle block that is the skip connection, too
		skip = changed
	}
	return changed, lowFrequencies(b, skip, low)
}

// lowFrequencies multiplies the four lowest frequencies of x [B,C,H,W], those of numbers -1 and 0 on both axes, by scale.
// The inverse transform of these alone is A·x·Aᵀ with complex matrices A = (1 + exp(-2πi(y-y')/n))/n of each axis; of the
// result the real part counts.
func lowFrequencies(b *nn.Builder, x *onnx.Value, scale float32) *onnx.Value {
	re, im := axisMatrices(b, x.Dim(2).N)
	cols, colsIm := axisMatrices(b, x.Dim(3).N) // the matrices of columns, transposed
	wide := b.Cast(x, dtype.F32)
	product := func(rows, cols *onnx.Value) *onnx.Value { return b.MatMul(rows, b.MatMul(wide, cols)) }
	low := b.Sub(product(re, cols), product(im, b.Transpose(colsIm, 1, 0)))
	change := b.Mul(low, b.Scalar(dtype.F32, scale-1))
	return b.Cast(b.Add(wide, change), x.DType)
}

// axisMatrices returns the real and the imaginary part of the matrix of an axis of n values; the real one is symmetric.
func axisMatrices(b *nn.Builder, n int) (re, im *onnx.Value) {
	r, i := make([]float32, n*n), make([]float32, n*n)
	for y := range n {
		for x := range n {
			if n == 1 { // the two frequencies are one
				r[0] = 1
				continue
			}
			angle := -2 * math.Pi * float64(y-x) / float64(n)
			r[y*n+x] = float32((1 + math.Cos(angle)) / float64(n))
			i[y*n+x] = float32(math.Sin(angle) / float64(n))
		}
	}
	return b.Floats(r, n, n), b.Floats(i, n, n)
}
