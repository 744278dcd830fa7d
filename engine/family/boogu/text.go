package boogu

import (
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/family/chat"
	"comfygo/engine/family/lm"
)

// loader is the type of the family's text encoder in the CLIP loaders.
const loader = "boogu"

// The templates of prompts, of prompts with images and of empty ones.
const (
	generate = "<|im_start|>system\nYou are a helpful assistant that generates high-quality images based on user instructions. The instructions are as follows.<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n"
	describe = "<|im_start|>system\nDescribe the key features of the input image (color, shape, size, texture, objects, background), then explain how the user's text instruction should alter or modify the image. Generate a new image that meets the user's requirements while maintaining consistency with the original input where appropriate.<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n"
)

// Upstream: text_encoders/boogu.py: the last layer of Qwen 3 VL 8B after its norm, the template included.
func init() {
	o := lm.Masked(0)
	o.RawHidden = false
	family.Register(family.Single{
		Label: "Boogu", Order: 160, Loader: loader, Only: []string{},
		Encoder: family.SchemeEncoder{Key: lm.KeyQwen3VLL, Plain: true, Options: o, Layout: lm.Unweighted, Text: text, Arrange: lm.PlaceImages, Chat: chat.Templated(text)},
	})
}

// text is the text that the encoder reads for a prompt.
func text(p family.Prompt) (string, bool) {
	if strings.HasPrefix(p.Text, "<|im_start|>") {
		return p.Text, true
	}
	t := generate
	switch {
	case p.Template != "":
		t = p.Template
	case len(p.Images) > 0:
		t = strings.Replace(describe, "{}", strings.Repeat(chat.QwenImage, len(p.Images))+"{}", 1)
	case strings.TrimSpace(p.Text) == "":
		t = describe
	}
	return strings.Replace(t, "{}", p.Text, 1), true
}
