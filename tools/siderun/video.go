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
	const whole = "the prompt"
	return scenario{
		name: name, title: fmt.Sprintf("%s, %d frames of %dx%d", vae, o.frames, width, height),
		files: []string{"vae/" + vae}, rows: []string{whole, "decoding"},
		run: func(ctx context.Context, server *apiclient.Process) (figures, error) {
			r, err := measure.Prompt(ctx, server, measure.Workflow{
				"1": {Class: "VAELoader", Inputs: map[string]any{"vae_name": vae}},
				"2": {Class: empty, Inputs: map[string]any{"width": width, "height": height, "length": o.frames, "batch_size": 1}},
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
