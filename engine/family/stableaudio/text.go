// Package stableaudio is the text encoding of Stable Audio: T5 base alone, with zero padding.
package stableaudio

import (
	"comfygo/engine/family"
	"comfygo/engine/family/t5"
)

// Upstream: text_encoders/sa_t5.py, which is used for a file of T5 base under every loader type without its own rule.
func init() {
	family.Register(family.Single{
		Label: "Stable Audio", Order: 67, Loader: "stable_audio", Not: []string{"ace"},
		Encoder: family.SchemeEncoder{Key: t5.KeyBase, Plain: true, Options: family.EncodeOptions{Masked: true, ZeroMasked: true}, Layout: family.MinLength(128)},
	})
}
