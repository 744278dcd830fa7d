package main

import (
	"slices"

	"comfygo/engine"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// fixed are values of inputs with which a class has much to do; the others are the defaults.
var fixed = map[string][]any{
	"ImageScale":               {"width", int64(8192), "height", int64(8192), "upscale_method", "lanczos"},
	"ImageScaleBy":             {"scale_by", 1.5, "upscale_method", "bicubic"},
	"ImageBlur":                {"blur_radius", int64(31), "sigma", 10.0},
	"ImageSharpen":             {"sharpen_radius", int64(31), "sigma", 10.0},
	"GrowMask":                 {"expand", int64(64)},
	"Morphology":               {"operation", "gradient", "kernel_size", int64(99)},
	"ColorTransfer":            {"method", "histogram"},
	"TextOverlay":              {"text", "some words\nand more"},
	"ImageRotate":              {"rotation", "90 degrees"},
	"FeatherMask":              {"left", int64(500), "right", int64(500), "top", int64(500), "bottom", int64(500)},
	"ImagePadForOutpaint":      {"left", int64(500), "right", int64(500), "feathering", int64(400)},
	"RepeatImageBatch":         {"amount", int64(4)},
	"SaveAnimatedWEBP":         {"lossless", false},
	"ResizeImagesByLongerEdge": {"longer_edge", int64(8192)},
	"AudioEqualizer3Band":      {"low_gain_dB", 3.0, "mid_gain_dB", 3.0, "high_gain_dB", 3.0},
	"TrimAudioDuration":        {"duration", 100.0},
	"AudioMerge":               {"merge_method", "add"},
	"WanMoveVisualizeTracks":   {"tracks", nil},
}

// several are the images of a batch for classes that work on videos or lists.
var several = 16

// value returns a large value of a link's type, or nil.
func value(kind string, n int) any {
	switch kind {
	case "IMAGE":
		return frames(several, n, 3)
	case "MASK":
		return frames(several, n/3, 0)
	case "LATENT":
		return latent(n, 16, 1)
	case "AUDIO":
		return sound(n)
	case "VIDEO":
		return clip(several, n)
	}
	return nil
}

// linked are the types that are made; a class that needs another one by link is left out.
var linked = []string{"IMAGE", "MASK", "LATENT", "AUDIO", "VIDEO", "VOXEL", "MESH", "SPLAT"}

// tensorCalls are those of every class that takes images, masks, latents, audio or videos and no models.
var tensorCalls = everyTensorCall()

func everyTensorCall() []call {
	var out []call
	nodes.Default().Walk(func(c *nodes.Class) bool {
		media := false
		for _, in := range c.Inputs() {
			if in.Optional {
				continue
			}
			switch {
			case slices.Contains(linked[:5], in.Type):
				media = true
			case slices.Contains([]string{"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", "COLOR"}, in.Type) || in.Default != nil || len(in.Choices(nodes.Env{})) > 0:
			default:
				return true
			}
		}
		if media {
			out = append(out, call{c.Name, "images, or audio, of %d values", func(n int) ([]any, error) { return general(c, n), nil }})
		}
		return true
	})
	return out
}

// general returns inputs of a class for tensors of n values.
func general(c *nodes.Class, n int) []any {
	values := pyjson.NewObject()
	for _, in := range c.Inputs() {
		v := value(in.Type, n)
		if l, ok := v.(engine.Latent); ok && in.Optional && l.Samples != nil {
			continue
		}
		if v == nil && !in.Optional {
			v = in.Default
			if choices := in.Choices(nodes.Env{}); v == nil && len(choices) > 0 {
				v = choices[0]
			}
			if v == nil && in.Type == "STRING" {
				v = "a"
			}
		}
		if v == nil {
			continue
		}
		values.Set(in.Name, v)
	}
	for i, own := 0, fixed[c.Name]; i < len(own); i += 2 {
		values.Set(own[i].(string), own[i+1])
	}
	var out []any
	for name, v := range values.All() {
		if c.InputIsList {
			v = []any{v}
		}
		out = append(out, name, v)
	}
	return out
}
