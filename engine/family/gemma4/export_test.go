package gemma4

import (
	"context"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// With gives a network what reads images and sounds at the given sizes.
func (e *Encoder) With(v Vision, a Audio) *Encoder {
	e.vision, e.audio = tower{v, e.src}, conformer{a, e.src}
	return e
}

// Plain gives a network what reads images and sounds without towers.
func (e *Encoder) Plain(width, places, samples int) *Encoder {
	e.vision, e.audio = plainVision{width, places, e.Config.Width, e.src}, plainAudio{samples, e.Config.Width, e.src}
	return e
}

// See and Hear return the network's vectors for an image and for audio features.
func (e *Encoder) See(ctx context.Context, run family.Runner, image *tensor.Tensor) (*tensor.Tensor, error) {
	return e.vision.look(ctx, run, image)
}

func (e *Encoder) Hear(ctx context.Context, run family.Runner, features *tensor.Tensor) (*tensor.Tensor, error) {
	return e.audio.listen(ctx, run, features)
}

// Small is New with the traits of E2B, or of 12B.
func Small(src weights.Source, c Config, like int) *Encoder {
	v := variants[like]
	c.Wide, c.SameValues, c.Blocks, c.Primed = v.Wide, v.SameValues, v.Blocks, v.Primed
	return New(src, c)
}

// Fit, Write, Arrange and Cleaned are the functions of these names.
var (
	Fit     = fit
	Write   = write
	Arrange = arrange
	Cleaned = cleaned
)
