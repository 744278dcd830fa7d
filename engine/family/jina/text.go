package jina

import (
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/family/lm"
)

func init() {
	family.Register(newBie{})
	family.Register(family.Single{
		Label: "Jina CLIP 2", Order: 180, Loader: "stable_diffusion",
		Encoder: family.SchemeEncoder{Key: Key, Plain: true, Options: family.EncodeOptions{Masked: true, ReturnMask: true}},
	})
}

// newBie is Gemma 3 4B for the encoding and its mask, with the pooled encoding of Jina CLIP 2 (upstream: text_encoders/newbie.py
// NewBieTEModel).
type newBie struct{}

// Name implements family.Family.
func (newBie) Name() string { return "NewBie" }

// Rank implements family.Family.
func (newBie) Rank() int { return 181 }

// Type implements family.Scheme.
func (newBie) Type() string { return "newbie" }

// Encoders implements family.Scheme.
func (newBie) Encoders() []family.SchemeEncoder {
	return []family.SchemeEncoder{
		{Key: lm.KeyGemma3S, Plain: true, Options: lm.Masked(-2)},
		{Key: Key, Plain: true, Options: family.EncodeOptions{Masked: true}},
	}
}

// Join implements family.Scheme.
func (newBie) Join(parts map[string]family.Encoding) (family.Encoding, error) {
	g, ok := parts[lm.KeyGemma3S]
	j, ok2 := parts[Key]
	if !ok || !ok2 {
		return family.Encoding{}, fmt.Errorf("encoding the prompt: NewBie needs the text encoders %s and %s", lm.KeyGemma3S, Key)
	}
	g.Pooled = j.Pooled
	return g, nil
}
