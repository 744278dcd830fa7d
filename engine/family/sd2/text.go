// Package sd2 is the family of Stable Diffusion 2.x: U-Nets that read the text encoding of OpenCLIP H, for noise or v, for
// inpainting, and of unCLIP, which read encoded images, too.
package sd2

import (
	"comfygo/engine/family"
	"comfygo/engine/family/clip"
)

// Upstream: text_encoders/sd2_clip.py SD2ClipModel, which is taken for a file of CLIP-H whatever a loader's type.
func init() {
	family.Register(family.Single{
		Label: "Stable Diffusion 2.x", Order: 12, Loader: "stable_diffusion",
		Encoder: family.SchemeEncoder{Key: clip.KeyH, Options: family.EncodeOptions{Layer: -2, Projected: true}},
	})
}
