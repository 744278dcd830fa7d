package patch_test

import (
	"slices"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/patch"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/internal/imaging"
)

// TestShrink compares scaling inside a graph with that of images, among them vectors that are zero, equal and opposite.
func TestShrink(t *testing.T) {
	t.Parallel()
	const channels, h, w = 5, 6, 7
	shape := []int{2, channels, h, w}
	x := values(t, random(t, "x", dtype.F32, shape...))
	for c := range channels {
		at := func(row, col int) *float32 { return &x[(c*h+row)*w+col] }
		*at(0, 0) = 0
		*at(2, 3) = *at(2, 2)
		*at(3, 5) = -2 * *at(3, 4)
	}
	src := source(t, "none", random(t, "unused", dtype.F32, 1))
	for _, method := range imaging.LatentMethods {
		for factor, size := range map[float64][2]int{2: {3, 4}, 0.7: {9, 10}} {
			s := session(t, nn.Target{Compute: dtype.F32}, src, nil, shape, func(b *nn.Builder, _ *weights.Scope, x *onnx.Value) *onnx.Value {
				x = b.Declare(x, onnx.Dims(shape...))
				y, _ := patch.Shrink{Index: 3, Factor: factor, Method: method}.Block(b, patch.Site{Index: 3}, x, nil)
				return y
			})
			want, err := imaging.Upscale(&tensor.Tensor{Shape: shape, Data: slices.Clone(x)}, size[1], size[0], method, "disabled")
			if err != nil {
				t.Fatal(err)
			}
			near(t, method, compute(t, s, x, shape, nil), want.Data)
		}
	}
}
