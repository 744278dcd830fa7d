package mageflow

import (
	"fmt"
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/family/chat"
	"comfygo/engine/family/lm"
)

// loader is the type of the family's text encoder in the CLIP loaders.
const loader = "mage"

// The templates of prompts and of instructions for images.
const (
	describe = "<|im_start|>system\nDescribe the image by detailing the color, shape, size, texture, quantity, text, spatial relationships of the objects and background:<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
	edit     = "<|im_start|>system\nDescribe the key features of the input image (color, shape, size, texture, objects, background), then explain how the user's text instruction should alter or modify the image. Generate a new image that meets the user's requirements while maintaining consistency with the original input where appropriate.<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
)

// Upstream: text_encoders/mage_flow.py: the last layer of Qwen 3 VL 4B after its norm, without the template.
func init() {
	o := lm.Masked(0)
	o.RawHidden = false
	family.Register(family.Single{
		Label: "Mage-Flow", Order: 161, Loader: loader, Only: []string{}, Finish: lm.WithoutTemplate,
		Encoder: family.SchemeEncoder{Key: lm.KeyQwen3VLM, Plain: true, Options: o, Layout: lm.Unweighted, Text: text, Arrange: lm.PlaceImages, Chat: chat.Templated(text)},
	})
}

// text is the text that the encoder reads for a prompt.
func text(p family.Prompt) (string, bool) {
	if strings.HasPrefix(p.Text, "<|im_start|>") {
		return p.Text, true
	}
	t := p.Template
	switch {
	case t != "":
	case len(p.Images) > 0:
		var images strings.Builder
		for i := range p.Images {
			fmt.Fprintf(&images, "Image %d: %s", i+1, chat.QwenImage)
		}
		t = strings.Replace(edit, "{}", images.String()+"{}", 1)
	default:
		t = describe
	}
	return strings.Replace(t, "{}", p.Text, 1), true
}
