// Package wan is the text encoding of Wan: UMT5-XXL alone, with zero padding.
package wan

import (
	"comfygo/engine/family"
	"comfygo/engine/family/t5"
)

// Upstream: text_encoders/wan.py.
func init() {
	family.Register(family.Single{
		Label: "Wan", Order: 66, Loader: "wan", Only: []string{},
		Encoder: family.SchemeEncoder{Key: t5.KeyUMT5, Plain: true, Options: family.EncodeOptions{Masked: true, ZeroMasked: true}, Layout: family.MinLength(512)},
	})
}
