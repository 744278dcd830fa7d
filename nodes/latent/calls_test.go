package latent_test

import (
	"slices"
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
		{"CosmosImageToVideoLatent", pyjson.NewObject("width", 64, "height", 64, "length", 9, "start_image", tensor.New(1, 8, 8, 3)), "no VAE"},
		{"CosmosPredict2ImageToVideoLatent", pyjson.NewObject("width", 64, "height", 64, "length", 9, "end_image", tensor.New(1, 8, 8, 3)), "no VAE"},
		{"CosmosPredict2ImageToVideoLatent", pyjson.NewObject("width", 1<<14, "height", 1<<14, "length", 16381, "batch_size", 4096), "allocating"},
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

// TestGivenFrames: without images the latents are empty, and one row as upstream has them.
func TestGivenFrames(t *testing.T) {
	t.Parallel()
	for class, frames := range map[string]int{"CosmosImageToVideoLatent": 2, "CosmosPredict2ImageToVideoLatent": 3} {
		r, err := nodecalls.CallIn(t, nil, class, pyjson.NewObject("width", 64, "height", 32, "length", 9, "batch_size", 2))
		if err != nil {
			t.Fatal(err)
		}
		l, ok := r.Values[0].(engine.Latent)
		if want := []int{1, 16, frames, 4, 8}; !ok || !slices.Equal(l.Samples.Shape, want) || l.NoiseMask != nil {
			t.Errorf("%s: %+v, want %v", class, r.Values, want)
		}
	}
}

// TestSeedVRCalls compares SeedVR2's chunks with upstream's.
func TestSeedVRCalls(t *testing.T) {
	t.Parallel()
	nodecalls.Run(t, "calls_seedvr.json.gz", nodecalls.Options{})
}
