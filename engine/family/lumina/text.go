package lumina

import (
	"comfygo/engine/family"
	"comfygo/engine/family/lm"
)

// Upstream: text_encoders/lumina2.py and z_image.py, each of which is taken for a file of its encoder under every type that
// has no rule of its own.
func init() {
	for i, key := range []string{lm.KeyGemma2, lm.KeyGemma3S} {
		family.Register(family.Single{
			Label: "Lumina 2", Order: 70 + i, Loader: text,
			Encoder: family.SchemeEncoder{Key: key, Plain: true, Options: lm.Masked(-2)},
		})
	}
	family.Register(family.Single{
		Label: "Z-Image", Order: 72, Loader: text, Not: []string{"flux", "flux2"},
		Encoder: family.SchemeEncoder{
			Key: lm.KeyQwen3M, Options: lm.Masked(-2), Layout: lm.Unweighted,
			Text: family.Template("<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"),
		},
	})
}
