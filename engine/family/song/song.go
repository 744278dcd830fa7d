// Package song describes songs for the text encoders of music models. It knows none of them.
package song

import (
	"math"

	"comfygo/engine/family"
	"comfygo/engine/textgen"
)

// Song is what a prompt says beside its tags: family.Prompt.Extra. Texts that are empty and numbers that are zero are not stated.
type Song struct {
	// Lyrics are lines of text, Language is their code ("en"), Key is that of the music ("C# major").
	Lyrics, Language, Key string
	// BPM are beats per minute, Beats those of a bar; Duration is in seconds.
	BPM, Beats int
	Duration   float64
	// NoCodes leaves out the language model that writes audio codes; Guidance is its own, and Choose how codes are chosen.
	NoCodes  bool
	Guidance float64
	Choose   textgen.Options
	// Progress, when set, is told after each code how many of how many there are.
	Progress func(done, of int)
}

// Plain is the song of a prompt that says nothing beside its tags.
var Plain = Song{Duration: 120, Guidance: 2, Choose: textgen.Options{Sample: true, Temperature: 0.85, TopP: 0.9}}

// Of returns the song of a prompt.
func Of(p family.Prompt) Song {
	if s, ok := p.Extra.(Song); ok {
		return s
	}
	return Plain
}

// Seconds is the duration in whole seconds.
func (s Song) Seconds() int { return int(math.Ceil(s.Duration)) }
