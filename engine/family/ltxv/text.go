// Package ltxv is the text encoding of LTX-Video: T5-XXL alone, with a mask.
package ltxv

import (
	"comfygo/engine/family"
	"comfygo/engine/family/t5"
)

// Upstream: text_encoders/lt.py ltxv_te.
func init() {
	family.Register(family.Single{
		Label: "LTX-Video", Order: 61, Loader: "ltxv", Only: []string{},
		Encoder: family.SchemeEncoder{Key: t5.KeyXXL, Options: family.EncodeOptions{Masked: true, ReturnMask: true}, Layout: family.MinLength(128)},
	})
}
