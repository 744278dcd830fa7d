// Package cosmos is the family of Cosmos. Its text encoder is the T5 of 11 billion parameters alone, with a mask.
package cosmos

import (
	"comfygo/engine/family"
	"comfygo/engine/family/t5"
)

// Upstream: text_encoders/cosmos.py, which is taken for a file of this encoder whatever a loader's type.
func init() {
	family.Register(family.Single{
		Label: "Cosmos", Order: 65, Loader: "cosmos",
		Encoder: family.SchemeEncoder{Key: t5.KeyOld, Options: family.EncodeOptions{Masked: true, ReturnMask: true, ZeroMasked: true}, Layout: family.MinLength(512)},
	})
}
