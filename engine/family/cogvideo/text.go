// Package cogvideo is the text encoding of CogVideoX: T5-XXL alone.
package cogvideo

import (
	"comfygo/engine/family"
	"comfygo/engine/family/t5"
)

// Upstream: text_encoders/cogvideo.py.
func init() {
	family.Register(family.Single{
		Label: "CogVideoX", Order: 64, Loader: "cogvideox", Only: []string{},
		Encoder: family.SchemeEncoder{Key: t5.KeyXXL, Layout: family.MinLength(226)},
	})
}
