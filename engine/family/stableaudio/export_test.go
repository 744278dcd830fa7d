package stableaudio

import (
	"context"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
)

// Moments are the means and scales of encoded audio.
func Moments(ctx context.Context, a family.Autoencoder, run family.Runner, x *tensor.Tensor) (*tensor.Tensor, error) {
	return a.(*vae).moments(ctx, run, x)
}

// WithEmbedders gives a model embedders of start and duration with the given number of values.
func WithEmbedders(d family.Denoiser, width int) family.Denoiser {
	m := d.(*model)
	none := &seconds{frequencies: make([]float32, 2), weight: make([]float32, 5*width), bias: make([]float32, width)}
	return &model{config: m.config, src: m.src, start: none, total: none}
}

// WithDuration gives a model of version 3 a text padding vector of twos, and a duration embedder whose values are threes.
func WithDuration(d family.Denoiser, width int) family.Denoiser {
	m := d.(*three)
	out := &three{Head: m.Head, config: m.config, memory: m.memory, local: m.local, twice: m.twice}
	out.seconds = &seconds{weight: make([]float32, expoWidth*width), bias: make([]float32, width)}
	for range width {
		out.padding = append(out.padding, 2)
	}
	for i := range out.seconds.bias {
		out.seconds.bias[i] = 3
	}
	return out
}
