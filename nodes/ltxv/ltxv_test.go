package ltxv_test

import (
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
	_ "comfygo/nodes/ltxv"
	"comfygo/tests/nodecalls"
)

// TestBadInputs: what lacks or does not fit is named.
func TestBadInputs(t *testing.T) {
	t.Parallel()
	image, video := engine.Latent{Samples: tensor.New(1, 4, 2, 2)}, engine.Latent{Samples: tensor.New(1, 128, 2, 2, 2)}
	both := engine.Latent{Samples: video.Samples, Along: []*tensor.Tensor{tensor.New(1, 8, 4, 16)}}
	masked := engine.Latent{Samples: video.Samples, NoiseMask: tensor.New(1, 16, 16)}
	pixels := tensor.New(1, 64, 64, 3)
	for _, c := range []struct {
		class  string
		values *pyjson.Object
		want   string
	}{
		{"LTXVImgToVideo", pyjson.NewObject("image", pixels, "width", 64, "height", 64, "length", 9, "batch_size", 1), "no VAE"},
		{"LTXVImgToVideo", pyjson.NewObject("width", 16384, "height", 16384, "length", 16384, "batch_size", 4096), "allocating"},
		{"LTXVImgToVideoInplace", pyjson.NewObject("latent", image, "image", pixels), "no video latent"},
		{"LTXVImgToVideoInplace", pyjson.NewObject("latent", both, "image", pixels), "LTXVSeparateAVLatent"},
		{"LTXVImgToVideoInplace", pyjson.NewObject("latent", masked, "image", pixels), "noise mask"},
		{"LTXVImgToVideoInplace", pyjson.NewObject("latent", video, "image", pixels), "no VAE"},
		{"LTXVAddGuide", pyjson.NewObject("latent", engine.Latent{}, "image", pixels), "no video latent"},
		{"LTXVAddGuide", pyjson.NewObject("latent", video), "not an image"},
		{"LTXVAddGuide", pyjson.NewObject("latent", video, "image", pixels), "no VAE"},
		{"LTXVSpatioTemporalGuidance", pyjson.NewObject("blocks", "1"), "no model"},
		{"LTXVAudioVAEDecode", pyjson.NewObject("samples", video), "no audio VAE"},
		{"LTXVAudioVAEEncode", pyjson.NewObject(), "no audio"},
		{"LTXVEmptyLatentAudio", pyjson.NewObject("frames_number", 9, "frame_rate", 24.0, "batch_size", 1), "no audio VAE"},
		{"LTXVEmptyLatentAudio", pyjson.NewObject("frames_number", 9, "frame_rate", "many", "batch_size", 1), "wanted a number"},
		{"LTXVReferenceAudio", pyjson.NewObject(), "no model"},
		{"LTXVLatentUpsampler", pyjson.NewObject("samples", both), "LTXVSeparateAVLatent"},
		{"LTXVLatentUpsampler", pyjson.NewObject("samples", video), "no upscale model"},
		{"LTXVModalityGuidance", pyjson.NewObject("modality_scale", 3.0), "no model"},
	} {
		_, err := nodecalls.CallIn(t, nil, c.class, c.values)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.class, err, c.want)
		}
	}
}

// TestGuideWeights: the mask of a guide is scaled to its latent, the first frame by itself and the others in groups.
func TestGuideWeights(t *testing.T) {
	t.Parallel()
	mask := tensor.New(5, 2, 2)
	for i := range mask.Data {
		mask.Data[i] = float32(i / 4)
	}
	for name, c := range map[string]struct {
		entry  sampling.GuideEntry
		tokens int
		want   []float32
	}{
		"no mask":      {sampling.GuideEntry{Strength: 0.5}, 3, []float32{0.5, 0.5, 0.5}},
		"groups":       {sampling.GuideEntry{Strength: 2, Mask: mask, Shape: [3]int{3, 1, 1}}, 3, []float32{0, 3, 7}},
		"single frame": {sampling.GuideEntry{Strength: 1, Mask: mask.Slice(1, 2), Shape: [3]int{3, 1, 1}}, 3, []float32{1, 1, 1}},
		"fewer tokens": {sampling.GuideEntry{Strength: 1, Mask: mask, Shape: [3]int{3, 1, 1}}, 2, []float32{0, 1.5}},
		"too few":      {sampling.GuideEntry{Strength: 1, Mask: mask.Slice(0, 3), Shape: [3]int{5, 1, 1}}, 5, []float32{0, 1, 1, 2, 2}},
	} {
		got, err := c.entry.Weights(c.tokens)
		if err != nil || len(got) != len(c.want) {
			t.Errorf("%s: %v, %v, want %v", name, got, err, c.want)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%s: %v, want %v", name, got, c.want)
				break
			}
		}
	}
}
