package conditioning_test

import (
	"strings"
	"testing"

	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
	"comfygo/tests/nodecalls"
)

// TestTextEncodersWithoutInputs: a missing text encoder and images without pixels end in an error that names them.
func TestTextEncodersWithoutInputs(t *testing.T) {
	t.Parallel()
	text := func(more ...any) *pyjson.Object { return pyjson.NewObject(append([]any{"clip", nil}, more...)...) }
	for _, c := range []struct {
		class  string
		values *pyjson.Object
		want   string
	}{
		{"CLIPTextEncodeSD3", text("clip_l", "a", "clip_g", "a", "t5xxl", "a", "empty_padding", "none"), "no text encoder"},
		{"CLIPTextEncodeFlux", text("clip_l", "a", "t5xxl", "a", "guidance", 1.0), "no text encoder"},
		{"CLIPTextEncodeHiDream", text("clip_l", "a", "clip_g", "a", "t5xxl", "a", "llama", "a"), "no text encoder"},
		{"CLIPTextEncodeHunyuanDiT", text("bert", "a", "mt5xl", "a"), "no text encoder"},
		{"CLIPTextEncodeKandinsky5", text("clip_l", "a", "qwen25_7b", "a"), "no text encoder"},
		{"CLIPTextEncodeLumina2", text("system_prompt", "superior", "user_prompt", "a"), "no text encoder"},
		{"CLIPTextEncodePixArtAlpha", text("width", 8, "height", 8, "text", "a"), "no text encoder"},
		{"T5TokenizerOptions", text("min_padding", 1, "min_length", 1), "no text encoder"},
		{"TextEncodeQwenImageEdit", text("prompt", "a"), "no text encoder"},
		{"TextEncodeQwenImageEdit", text("prompt", "a", "image", tensor.New(0, 4, 4, 3)), "image holds no pixels"},
		{"TextEncodeQwenImageEditPlus", text("prompt", "a", "image2", tensor.New(1, 4, 4, 1)), "image2 holds no pixels"},
		{"TextEncodeBooguEdit", text("prompt", "a", "negative_prompt", "", "vae", nil), "no text encoder"},
		{"TextEncodeBooguEdit", text("prompt", "a", "negative_prompt", "", "vae", nil, "images.image_2", tensor.New(1, 0, 4, 3)), "images.image_2 holds no pixels"},
		{"TextEncodeMageFlowEdit", text("prompt", "a", "negative_prompt", "", "width", 0, "height", 64, "batch_size", 1), "no text encoder"},
		{"TextEncodeMageFlowEdit", text("prompt", "a", "negative_prompt", "", "width", 0, "height", 0, "batch_size", 1, "images.image_3", tensor.New(1, 4, 4, 1)), "images.image_3 holds no pixels"},
		{"TextEncodeMageFlowEdit", text("prompt", "a", "negative_prompt", "", "width", 8192, "height", 8192, "batch_size", 4096), "empty latents"},
		{"TextEncodeZImageOmni", text("prompt", "a", "auto_resize_images", true, "image3", tensor.New(1, 0, 4, 3)), "image3 holds no pixels"},
	} {
		_, err := nodecalls.CallIn(t, nil, c.class, c.values)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.class, err, c.want)
		}
	}
}
