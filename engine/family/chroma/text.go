package chroma

import (
	"comfygo/engine/family"
	"comfygo/engine/family/t5"
)

// Upstream: text_encoders/pixart_t5.py, which Chroma shares with PixArt: T5-XXL alone, not padded, whose weights are
// measured from a prompt of padding.
func init() {
	family.Register(family.Single{
		Label: "Chroma", Order: 63, Loader: "chroma", Only: []string{},
		Encoder: family.SchemeEncoder{Key: t5.KeyXXL, Options: family.EncodeOptions{Unended: true}, Layout: family.MinLength(1)},
	})
}
