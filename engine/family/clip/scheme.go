package clip

import (
	"fmt"
	"slices"

	"comfygo/engine/family"
)

// Single is the scheme of families that read one CLIP encoder alone.
type Single struct {
	// Label and Order are the scheme's name and rank, Loader its name in the CLIP loaders.
	Label  string
	Order  int
	Loader string
	// Encoder is the encoder and how it encodes.
	Encoder family.SchemeEncoder
	// Not lists the loader types for which the scheme does not stand in.
	Not []string
}

var _ family.Standalone = Single{}

// Standalone implements family.Standalone: upstream takes a lone CLIP encoder for nearly every type.
func (s Single) Standalone(kind string) bool { return !slices.Contains(s.Not, kind) }

// Name implements family.Family.
func (s Single) Name() string { return s.Label }

// Rank implements family.Family.
func (s Single) Rank() int { return s.Order }

// Type implements family.Scheme.
func (s Single) Type() string { return s.Loader }

// Encoders implements family.Scheme.
func (s Single) Encoders() []family.SchemeEncoder { return []family.SchemeEncoder{s.Encoder} }

// Join implements family.Scheme.
func (s Single) Join(parts map[string]family.Encoding) (family.Encoding, error) {
	e, ok := parts[s.Encoder.Key]
	if !ok {
		return e, fmt.Errorf("encoding the prompt: %s needs the text encoder %s", s.Label, s.Encoder.Key)
	}
	return e, nil
}
