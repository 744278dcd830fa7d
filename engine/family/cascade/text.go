package cascade

import (
	"comfygo/engine/family"
	"comfygo/engine/family/clip"
	"comfygo/engine/textenc"
	"comfygo/engine/tokenizer"
)

// Scheme is the type of the family's text encoder in the CLIP loaders.
const Scheme = "stable_cascade"

// Upstream: sdxl_clip.py StableCascadeClipModel: CLIP-G, padded with end tokens that are hidden from attention.
func init() {
	family.Register(family.Single{
		Label: "Stable Cascade", Order: 31, Loader: Scheme,
		Encoder: family.SchemeEncoder{
			Key:     clip.KeyG,
			Options: family.EncodeOptions{Layer: -1, RawHidden: true, Projected: true, Masked: true, Special: &textenc.CLIPL},
			Layout:  func(o *tokenizer.Options) { o.Pad = tokenizer.CLIPEnd },
		},
		Only: []string{Scheme},
	})
}
