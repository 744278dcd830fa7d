package cogvideo

import (
	"comfygo/engine/family"
	"comfygo/engine/family/t5"
)

// schemeName is the type of CLIP loaders.
const schemeName = "cogvideox"

// Upstream: text_encoders/cogvideo.py.
func init() {
	family.Register(family.Single{
		Label: "CogVideoX", Order: 64, Loader: schemeName, Only: []string{},
		Encoder: family.SchemeEncoder{Key: t5.KeyXXL, Layout: family.MinLength(226)},
	})
}
