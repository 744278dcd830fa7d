package conditioning_test

import (
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
	"comfygo/tests/nodecalls"
)

// TestVOIDBadInputs: what lacks or does not fit is named.
func TestVOIDBadInputs(t *testing.T) {
	t.Parallel()
	size := func(more ...any) *pyjson.Object {
		return pyjson.NewObject(append([]any{"width", 32, "height", 32, "length", 5, "batch_size", 1}, more...)...)
	}
	video, mask := tensor.New(5, 16, 16, 3), tensor.New(5, 16, 16)
	for want, c := range map[string]struct {
		class  string
		values *pyjson.Object
	}{
		"no VAE":           {"VOIDInpaintConditioning", size("video", video, "quadmask", mask)},
		"video is no list": {"VOIDInpaintConditioning", size("vae", &engine.VAE{}, "video", mask, "quadmask", mask)},
		"quadmask is no":   {"VOIDInpaintConditioning", size("vae", &engine.VAE{}, "video", video, "quadmask", video)},
		"has 5 frames":     {"VOIDInpaintConditioning", size("vae", &engine.VAE{}, "video", video, "quadmask", tensor.New(3, 16, 16))},
		"allocating":       {"VOIDInpaintConditioning", pyjson.NewObject("width", 16384, "height", 16384, "length", 16381, "batch_size", 64, "vae", &engine.VAE{}, "video", video, "quadmask", mask)},
	} {
		_, err := nodecalls.CallIn(t, nil, c.class, c.values)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", c.class, err, want)
		}
	}
}
