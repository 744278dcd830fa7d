// Package auraflow is the family of AuraFlow: a transformer of double and single blocks, and its text encoding, Pile-T5-XL
// alone, with zero padding.
package auraflow

import (
	"comfygo/engine/family"
	"comfygo/engine/family/t5"
)

// Upstream: text_encoders/aura_t5.py, which is used for a file of this encoder under every loader type. The CLIP loaders
// have no type of this name.
func init() {
	family.Register(family.Single{
		Label: "AuraFlow", Order: 68, Loader: "auraflow",
		Encoder: family.SchemeEncoder{Key: t5.KeyPile, Plain: true, Options: family.EncodeOptions{Masked: true, ZeroMasked: true}, Layout: family.MinLength(256)},
	})
}
