package hydit

import (
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/family/bert"
	"comfygo/engine/family/t5"
)

// The keys of mT5's encoding and mask in a conditioning entry.
const (
	keyMT5  = "conditioning_mt5xl"
	keyMask = "attention_mask_mt5xl"
)

func init() { family.Register(textScheme{}) }

// textScheme is BERT for the encoding, with that of mT5-XL beside it (upstream: text_encoders/hydit.py HyditModel).
type textScheme struct{}

// Name implements family.Family.
func (textScheme) Name() string { return "Hunyuan-DiT" }

// Rank implements family.Family.
func (textScheme) Rank() int { return 110 }

// Type implements family.Scheme.
func (textScheme) Type() string { return "hunyuan_dit" }

// Encoders implements family.Scheme.
func (textScheme) Encoders() []family.SchemeEncoder {
	o := family.EncodeOptions{Masked: true, ReturnMask: true}
	return []family.SchemeEncoder{{Key: bert.Key, Options: o}, {Key: t5.KeyMT5, Options: o, Layout: family.MinLength(256)}}
}

// Join implements family.Scheme.
func (textScheme) Join(parts map[string]family.Encoding) (family.Encoding, error) {
	b, ok := parts[bert.Key]
	m, ok2 := parts[t5.KeyMT5]
	if !ok || !ok2 {
		return family.Encoding{}, fmt.Errorf("encoding the prompt: Hunyuan-DiT needs the text encoders %s and %s", bert.Key, t5.KeyMT5)
	}
	return family.Encoding{Hidden: b.Hidden, Mask: b.Mask, Extra: map[string]any{keyMT5: m.Hidden, keyMask: m.Mask}}, nil
}
