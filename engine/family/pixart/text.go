// Package pixart is the text encoding of PixArt Alpha and Sigma: T5-XXL alone, not padded. Weights are
// measured from a prompt of padding.
package pixart

import (
	"comfygo/engine/family"
	"comfygo/engine/family/t5"
)

// Upstream: text_encoders/pixart_t5.py.
func init() {
	family.Register(family.Single{
		Label: "PixArt", Order: 62, Loader: "pixart", Only: []string{},
		Encoder: family.SchemeEncoder{Key: t5.KeyXXL, Options: family.EncodeOptions{Unended: true}, Layout: family.MinLength(1)},
	})
}
