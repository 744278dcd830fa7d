package lumina

import (
	"comfygo/engine/family"
	"comfygo/engine/family/chat"
	"comfygo/engine/family/lm"
)

// Upstream: text_encoders/lumina2.py and z_image.py, each of which is used for a file of its encoder under every type
// without its own rule.
func init() {
	family.Register(family.Single{
		Label: "Lumina 2", Order: 70, Loader: text,
		Encoder: family.SchemeEncoder{Key: lm.KeyGemma2, Plain: true, Options: lm.Masked(-2)},
	})
	family.Register(family.Single{
		Label: "Lumina 2", Order: 71, Loader: text,
		Encoder: family.SchemeEncoder{Key: lm.KeyGemma3S, Plain: true, Options: lm.Masked(-2), Chat: chat.Gemma3(), Arrange: lm.PlaceSoftImages},
	})
	family.Register(family.Single{
		Label: "Z-Image", Order: 72, Loader: text, Not: []string{"flux", "flux2"},
		Encoder: family.SchemeEncoder{
			Key: lm.KeyQwen3M, Options: lm.Masked(-2), Layout: lm.Unweighted,
			Text: family.Template("<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"),
		},
	})
}
