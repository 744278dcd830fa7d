// Package flux is the family of Flux.
package flux

import (
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/family/clip"
	"comfygo/engine/family/t5"
)

func init() { family.Register(textScheme{}) }

// textScheme is T5-XXL for the encoding and CLIP-L for the pooled one (upstream: text_encoders/flux.py FluxClipModel).
type textScheme struct{}

// Name implements family.Family.
func (textScheme) Name() string { return "Flux" }

// Rank implements family.Family.
func (textScheme) Rank() int { return 50 }

// Type implements family.Scheme.
func (textScheme) Type() string { return "flux" }

// Encoders implements family.Scheme.
func (textScheme) Encoders() []family.SchemeEncoder {
	const tokens = 256
	return []family.SchemeEncoder{{Key: clip.KeyL}, {Key: t5.KeyXXL, Layout: family.MinLength(tokens)}}
}

// Join implements family.Scheme.
func (textScheme) Join(parts map[string]family.Encoding) (family.Encoding, error) {
	l, ok := parts[clip.KeyL]
	t, ok2 := parts[t5.KeyXXL]
	if !ok || !ok2 {
		return family.Encoding{}, fmt.Errorf("encoding the prompt: Flux needs the text encoders %s and %s", clip.KeyL, t5.KeyXXL)
	}
	return family.Encoding{Hidden: t.Hidden, Pooled: l.Pooled}, nil
}
