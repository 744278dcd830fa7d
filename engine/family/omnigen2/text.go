package omnigen2

import (
	"comfygo/engine/family"
	"comfygo/engine/family/lm"
)

// Upstream: text_encoders/omnigen2.py, which is taken for a file of Qwen 2.5 3B whatever a loader's type.
func init() {
	family.Register(family.Single{
		Label: "OmniGen 2", Order: 91, Loader: text,
		Encoder: family.SchemeEncoder{
			Key: lm.KeyQwen25S, Plain: true, Options: lm.Masked(0),
			Text: family.Template("<|im_start|>system\nYou are a helpful assistant that generates high-quality images based on user instructions.<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n"),
		},
	})
}
