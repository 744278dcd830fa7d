package qwenimage

import (
	"comfygo/engine/family"
	"comfygo/engine/family/lm"
)

const (
	describe = "<|im_start|>system\nDescribe the image by detailing the color, shape, size, texture, quantity, text, spatial relationships of the objects and background:<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
	edit     = "<|im_start|>system\nDescribe the key features of the input image (color, shape, size, texture, objects, background), then explain how the user's text instruction should alter or modify the image. Generate a new image that meets the user's requirements while maintaining consistency with the original input where appropriate.<|im_end|>\n<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>{}<|im_end|>\n<|im_start|>assistant\n"
)

// Upstream: text_encoders/qwen_image.py, which is used for a single Qwen 2.5 VL 7B under every type without its own rule.
func init() {
	o := lm.Masked(0)
	family.Register(family.Single{
		Label: "Qwen-Image", Order: 90, Loader: text, Not: []string{"hunyuan_image", "longcat_image"}, Finish: lm.WithoutTemplate,
		Encoder: family.SchemeEncoder{
			Key: lm.KeyQwen25M, Plain: true, Options: o, Layout: lm.Unweighted, Text: lm.Chat{Text: describe, WithImages: edit}.Write, Arrange: lm.PlaceImages,
		},
	})
}
