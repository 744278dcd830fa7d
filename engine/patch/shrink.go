package patch

import (
	"fmt"
	"math"

	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
)

// SigmaRange is the sigmas at which a patch acts, from High down to Low, both included.
type SigmaRange struct{ Low, High float32 }

func (r SigmaRange) holds(c Call) bool { return c.Sigma <= r.High && c.Sigma >= r.Low }

// Shrink scales the output of an input block of a U-Net down, so that the rest of the input half processes a smaller latent
// (Kohya's deep shrink; upstream: nodes_model_downscale.py).
type Shrink struct {
	SigmaRange
	// Index is the number of the input block, Factor what sizes are divided by and Method how.
	Index  int
	Factor float64
	Method string
	// AfterSkip leaves the skip connection at its size.
	AfterSkip bool
}

var (
	_ BlockPatch  = Shrink{}
	_ CallPatch   = Shrink{}
	_ SizedPatch  = Shrink{}
	_ ResizePatch = Shrink{}
)

// Point implements GraphPatch.
func (s Shrink) Point() Point {
	if s.AfterSkip {
		return InputSkip
	}
	return InputBlock
}

// Digest implements GraphPatch.
func (s Shrink) Digest() string { return fmt.Sprintf("%d %g %s", s.Index, s.Factor, s.Method) }

// For implements CallPatch.
func (s Shrink) For(c Call) GraphPatch {
	if !s.holds(c) {
		return nil
	}
	return s
}

// Sized implements SizedPatch.
func (Shrink) Sized() {}

// Resized implements ResizePatch.
func (s Shrink) Resized(block int, from Grid) Grid {
	if block != s.Index {
		return from
	}
	scaled := func(n int) int { return int(math.RoundToEven(float64(n) * (1 / s.Factor))) }
	return Grid{Height: scaled(from.Height), Width: scaled(from.Width)}
}

// Block implements BlockPatch.
func (s Shrink) Block(b *nn.Builder, at Site, h, skip *onnx.Value) (newH, newSkip *onnx.Value) {
	if at.Index != s.Index {
		return h, skip
	}
	to := s.Resized(at.Index, Grid{Height: h.Dim(2).N, Width: h.Dim(3).N})
	return resized(b, h, to.Height, to.Width, s.Method), skip
}

// Grow scales the output half of a U-Net up to its skip connections, where a Shrink left them larger. Of several the first does,
// whichever Shrink acts.
type Grow struct{ Method string }

var (
	_ BlockPatch   = Grow{}
	_ RestorePatch = Grow{}
)

// Point implements GraphPatch.
func (Grow) Point() Point { return OutputBlock }

// Digest implements GraphPatch.
func (g Grow) Digest() string { return g.Method }

// Restores implements RestorePatch.
func (Grow) Restores() {}

// Block implements BlockPatch.
func (g Grow) Block(b *nn.Builder, _ Site, h, skip *onnx.Value) (newH, newSkip *onnx.Value) {
	if h.Dim(2) == skip.Dim(2) {
		return h, skip
	}
	return resized(b, h, skip.Dim(2).N, skip.Dim(3).N, g.Method), skip
}

// resized scales x [B,C,H,W]. All methods but bislerp are linear in each axis: a product with a matrix on either side.
func resized(b *nn.Builder, x *onnx.Value, height, width int, method string) *onnx.Value {
	if height < 1 || width < 1 {
		b.Fail("Resize", "%v to %d x %d", x.Shape, width, height)
	}
	if method == "bislerp" {
		return bislerped(b, x, height, width)
	}
	rows, err := scaling(x.Dim(2).N, height, method)
	if err != nil {
		b.Fail("Resize", "%v", err)
	}
	cols, err := scaling(x.Dim(3).N, width, method)
	if err != nil {
		b.Fail("Resize", "%v", err)
	}
	right := b.Transpose(b.Cast(b.Floats(cols, width, x.Dim(3).N), x.DType), 1, 0)
	return b.MatMul(b.Cast(b.Floats(rows, height, x.Dim(2).N), x.DType), b.MatMul(x, right))
}

// scaling returns the matrix [to,from] by which a method scales an axis: column i is what becomes of a line that is one at i
// and zero elsewhere.
func scaling(from, to int, method string) ([]float32, error) {
	lines := tensor.New(from, 1, 1, from)
	for i := range from {
		lines.Data[i*from+i] = 1
	}
	scaled, err := imaging.Upscale(lines, to, 1, method, "disabled")
	if err != nil {
		return nil, err
	}
	out := make([]float32, to*from)
	for i := range from {
		for k := range to {
			out[k*from+i] = scaled.Data[i*to+k]
		}
	}
	return out, nil
}
