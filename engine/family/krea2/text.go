package krea2

import (
	"comfygo/engine/family"
	"comfygo/engine/family/chat"
	"comfygo/engine/family/lm"
)

const template = "<|im_start|>system\nDescribe the image by detailing the color, shape, size, texture, quantity, text, spatial relationships of the objects and background:<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"

// Upstream: text_encoders/krea2.py: twelve layers of Qwen 3 VL 4B side by side.
func init() {
	o := lm.Masked(0)
	for layer := 2; layer < 36; layer += 3 {
		o.Layers = append(o.Layers, layer)
	}
	family.Register(family.Single{
		Label: "Krea 2", Order: 98, Loader: "krea2", Only: []string{},
		Encoder: family.SchemeEncoder{Key: lm.KeyQwen3VLM, Plain: true, Options: o, Layout: lm.Unweighted, Text: lm.Chat{Text: template}.Write, Arrange: lm.PlaceImages, Chat: chat.Qwen3VL(template)},
		Finish: func(e family.Encoding, parts map[string]family.Encoding) (family.Encoding, error) {
			e, err := lm.WithoutTemplate(e, parts)
			return e.LayersAsWidth(), err
		},
	})
}
