// Package song describes songs for the text encoders of music models. It does not know the models.
package song

import (
	"math"

	"comfygo/engine/family"
	"comfygo/engine/textgen"
)

// Song is the description of a song besides the tags of a prompt: family.Prompt.Extra. Empty texts and zero numbers are not
// stated.
type Song struct {
	// Lyrics are lines of text, Language is their language code ("en"), Key is the key of the music ("C# major").
	Lyrics, Language, Key string
	// BPM are beats per minute, Beats those of a bar; Duration is in seconds.
	BPM, Beats int
	Duration   float64
	// NoCodes leaves out the language model that writes audio codes; Guidance is its own, and Choose how codes are chosen.
	NoCodes  bool
	Guidance float64
	Choose   textgen.Options
	// Progress, when set, is called after each code with the number of codes and their total.
	Progress func(done, of int)
}

// Plain is the song of a prompt that has only tags.
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
