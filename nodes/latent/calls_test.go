package latent_test

import (
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
	"comfygo/tests/nodecalls"
)

// TestCalls compares with upstream's results; cases.py says where they may differ.
func TestCalls(t *testing.T) {
	t.Parallel()
	nodecalls.Run(t, "calls.json.gz", nodecalls.Options{})
}

// TestBadLatents: sizes and latents that cannot be.
func TestBadLatents(t *testing.T) {
	t.Parallel()
	image := engine.Latent{Samples: tensor.New(1, 4, 2, 2)}
	for _, c := range []struct {
		class  string
		values *pyjson.Object
		want   string
	}{
		{"EmptyHunyuanLatentVideo", pyjson.NewObject("width", 16384, "height", 16384, "length", 16384, "batch_size", 4096), "allocating"},
		{"EmptyCosmosLatentVideo", pyjson.NewObject("width", -64, "height", 64, "length", 9), "negative"},
		{"EmptyLatentAudio", pyjson.NewObject("seconds", 1e300), "duration"},
		{"EmptyAceStep1.5LatentAudio", pyjson.NewObject("seconds", 1e9, "batch_size", 4096), "duration"},
		{"LTXVCropGuides", pyjson.NewObject("latent", image), "no video latent"},
		{"LTXVCropGuides", pyjson.NewObject("latent", engine.Latent{}), "no video latent"},
		{"NormalizeVideoLatentStart", pyjson.NewObject("latent", image), "no video latent"},
		{"TrimVideoLatent", pyjson.NewObject("samples", engine.Latent{}), "no time axis"},
		{"HunyuanRefinerLatent", pyjson.NewObject("latent", engine.Latent{}), "no time axis"},
		{"HiDreamO1ReferenceImages", pyjson.NewObject("images.image_1", "no image"), "not an image"},
	} {
		_, err := nodecalls.CallIn(t, nil, c.class, c.values)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.class, err, c.want)
		}
	}
}

// TestSeedVRCalls compares SeedVR2's chunks with upstream's.
func TestSeedVRCalls(t *testing.T) {
	t.Parallel()
	nodecalls.Run(t, "calls_seedvr.json.gz", nodecalls.Options{})
}
