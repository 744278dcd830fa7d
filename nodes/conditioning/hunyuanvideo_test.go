package conditioning_test

import (
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
	"comfygo/tests/nodecalls"
)

// TestHunyuanVideoBadInputs: what lacks or does not fit is named.
func TestHunyuanVideoBadInputs(t *testing.T) {
	t.Parallel()
	pixels, image := tensor.New(1, 16, 16, 3), engine.Latent{Samples: tensor.New(1, 4, 2, 2)}
	size := func(more ...any) *pyjson.Object {
		return pyjson.NewObject(append([]any{"width", 32, "height", 32, "length", 5, "batch_size", 1}, more...)...)
	}
	for _, c := range []struct {
		class  string
		values *pyjson.Object
		want   string
	}{
		{"HunyuanVideo15ImageToVideo", size("start_image", pixels), "no VAE"},
		{"HunyuanImageToVideo", size("start_image", pixels, "guidance_type", "custom"), "no VAE"},
		{"HunyuanImageToVideo", pyjson.NewObject("width", 16384, "height", 16384, "length", 16381, "batch_size", 4096), "allocating"},
		{"HunyuanVideo15SuperResolution", pyjson.NewObject("latent", image), "no video latent"},
		{"TextEncodeHunyuanVideo_ImageToVideo", pyjson.NewObject("clip_vision_output", family.ImageEncoding{}, "prompt", "a"), "projector"},
		{"TextEncodeHunyuanVideo_ImageToVideo", pyjson.NewObject("clip_vision_output", family.ImageEncoding{Projected: pixels}, "prompt", "a"), "no text encoder"},
		{"HunyuanVideo15SuperResolution", pyjson.NewObject("latent", engine.Latent{Samples: tensor.New(1, 32, 1, 2, 2)}, "start_image", pixels), "no VAE"},
	} {
		_, err := nodecalls.CallIn(t, nil, c.class, c.values)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.class, err, c.want)
		}
	}
}
