package main

import (
	"context"
	"fmt"

	"comfygo/internal/apiclient"
	"comfygo/internal/measure"
)

// videoDecoding measures a whole prompt that decodes an empty video latent of 320x192, loading included, and its peak memory,
// on a server that has loaded nothing. The empty class makes the latent of the VAE's family.
func (o options) videoDecoding(name, vae, empty string) scenario {
	width, height := 320, 192
	if o.size > 0 {
		width, height = o.size, o.size
	}
	return o.decoding(name, vae, width, height, o.frames, measure.Node{Class: empty, Inputs: map[string]any{"width": width, "height": height, "length": o.frames, "batch_size": 1}})
}

// imageVideoDecoding is videoDecoding for Stable Video Diffusion, whose latent is a batch of images: 14 of 128x128.
func (o options) imageVideoDecoding() scenario {
	const frames = 14
	size := 128
	if o.size > 0 {
		size = o.size
	}
	return o.decoding("svd-vae", "vae-svd-full.safetensors", size, size, frames, measure.Node{Class: "EmptyLatentImage", Inputs: map[string]any{"width": size, "height": size, "batch_size": frames}})
}

// decoding measures a prompt that decodes an empty latent.
func (o options) decoding(name, vae string, width, height, frames int, empty measure.Node) scenario {
	const whole = "the prompt"
	return scenario{
		name: name, title: fmt.Sprintf("%s, %d frames of %dx%d", vae, frames, width, height),
		files: []string{"vae/" + vae}, rows: []string{whole, "decoding"},
		run: func(ctx context.Context, server *apiclient.Process) (figures, error) {
			r, err := measure.Prompt(ctx, server, measure.Workflow{
				"1": {Class: "VAELoader", Inputs: map[string]any{"vae_name": vae}},
				"2": empty,
				"3": {Class: "VAEDecode", Inputs: map[string]any{"samples": []any{"2", 0}, "vae": []any{"1", 0}}},
				"4": {Class: "PreviewImage", Inputs: map[string]any{"images": []any{"3", 0}}},
			})
			if err != nil {
				return nil, err
			}
			f := figures{}
			f.add(whole, r.All)
			f.add("decoding", r.Node("VAEDecode"))
			return f, nil
		},
	}
}
