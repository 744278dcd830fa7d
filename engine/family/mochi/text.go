package mochi

import (
	"comfygo/engine/family"
	"comfygo/engine/family/t5"
)

// schemeName is the type of CLIP loaders.
const schemeName = "mochi"

// Upstream: text_encoders/genmo.py, which is used for a single T5-XXL under every type without its own rule.
func init() {
	family.Register(family.Single{
		Label: "Mochi", Order: 60, Loader: schemeName,
		Encoder: family.SchemeEncoder{Key: t5.KeyXXL, Options: family.EncodeOptions{Masked: true, ReturnMask: true}, Layout: family.MinLength(256)},
		Not:     []string{"sd3", "ltxv", "pixart", "chroma", "wan", "hidream", "cogvideox"},
	})
}
