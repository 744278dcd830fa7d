package vision_test

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/engine/tensor"
	inner "comfygo/internal/golden"
	"comfygo/nodes"
	"comfygo/nodes/vision"
	"comfygo/tests/golden"
	"comfygo/tests/nodetest"
)

// TestRemoveBackground runs the classes as ComfyUI's ran, on images of other proportions with alpha, and of one pixel. Logits are right to 1e-5 of
// their size, of which the mask has at most a quarter.
func TestRemoveBackground(t *testing.T) {
	t.Parallel()
	ctx := place(t, "background_removal", "birefnet", "small", nil)
	stored, err := inner.ReadTensors("testdata/background.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	m := nodetest.Run(t, ctx, &vision.LoadBackgroundRemovalModel{BgRemovalName: "small.safetensors"})[0].(*engine.BackgroundRemover)
	for name, shape := range map[string][]int{"photo": {1, 30, 47, 4}, "pixel": {2, 1, 1, 3}} {
		mask := nodetest.Run(t, ctx, &vision.RemoveBackground{BgRemovalModel: m, Image: image("birefnet", name, shape...)})[0].(*tensor.Tensor)
		if !slices.Equal(mask.Shape, shape[:3]) {
			t.Errorf("%s: shape %v", name, mask.Shape)
		}
		const every = 1
		check(t, stored, name, mask.Data, every, golden.Tolerance{MaxAbs: 2e-6})
	}
	nan := tensor.New(1, 4, 4, 3)
	nan.Data[13] = float32(math.NaN())
	for want, n := range map[string]nodes.Node{
		"there is no file":       &vision.LoadBackgroundRemovalModel{BgRemovalName: "absent.safetensors"},
		"holds no background":    &vision.LoadBackgroundRemovalModel{BgRemovalName: "other.safetensors"},
		"broken.safetensors":     &vision.LoadBackgroundRemovalModel{BgRemovalName: "broken.safetensors"},
		"connect LoadBackground": &vision.RemoveBackground{Image: nan},
		"column 0 of row 1":      &vision.RemoveBackground{BgRemovalModel: m, Image: nan},
		"not an image batch":     &vision.RemoveBackground{BgRemovalModel: m, Image: tensor.New(0, 4, 4, 3)},
		"and three channels":     &vision.RemoveBackground{BgRemovalModel: m, Image: tensor.New(1, 4, 4, 1)},
		"at least one pixel":     &vision.RemoveBackground{BgRemovalModel: m},
	} {
		if _, err := n.Run(ctx); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%T: %v, want %q", n, err, want)
		}
	}
	overflow := nodetest.Run(t, ctx, &vision.LoadBackgroundRemovalModel{BgRemovalName: "overflow.safetensors"})[0].(*engine.BackgroundRemover)
	if _, err := overflow.Mask(t.Context(), image("birefnet", "photo", 1, 30, 47, 4), func(int) {}); err == nil || !strings.Contains(err.Error(), "not finite numbers") {
		t.Errorf("a mask of values that are too large: %v", err)
	}
	stopped, stop := context.WithCancelCause(t.Context())
	stop(context.Canceled)
	if _, err := m.Mask(stopped, tensor.New(1, 4, 4, 3), func(int) {}); err == nil {
		t.Error("a stopped run gave a mask")
	}
}
