package sampling

import (
	"context"
	"fmt"

	"comfygo/engine/tensor"
)

// sampleVOID takes the steps of DDIM (Song et al., "Denoising Diffusion Implicit Models") without noise.
func sampleVOID(ctx context.Context, r *Run) (*tensor.Tensor, error) {
	x := r.X
	for i := range len(r.Sigmas) - 1 {
		denoised, err := r.predict(ctx, i, x)
		if err != nil {
			return nil, err
		}
		next := r.Sigmas[i+1]
		if next == 0 {
			x = denoised
			continue
		}
		share, to := 1/(1+r.Sigmas[i]*r.Sigmas[i]), 1/(1+next*next)
		keep, noise, toKeep, toNoise := sqrt32(share), sqrt32(1-share), sqrt32(to), sqrt32(1-to)
		x = zip(x, denoised, func(a, d float32) float32 {
			eps := (a - float32(keep*d)) / noise
			return float32(toKeep*d) + float32(toNoise*eps)
		})
	}
	return x, nil
}

// GivenNoise returns noise that was made before for latents of a shape: of that shape, or one row for all rows.
func GivenNoise(noise *tensor.Tensor, shape []int) (*tensor.Tensor, error) {
	if len(noise.Shape) != len(shape) || noise.Dim(0) != 1 && noise.Dim(0) != shape[0] || tensor.Count(noise.Shape[1:]) != tensor.Count(shape[1:]) {
		return nil, fmt.Errorf("sampling: the noise has shape %v, the latent %v: make both in one size", noise.Shape, shape)
	}
	out := tensor.New(shape...)
	for b := range shape[0] {
		copy(out.Index(b).Data, noise.Index(b%noise.Dim(0)).Data)
	}
	return out, nil
}
