package sampling

import (
	"context"

	"comfygo/engine/tensor"
)

// DenoiseOnce predicts the clean latent of x at a sigma, guided as in p, without sampler and noise. x and the result are
// [B,C,axes…] in the network's space. p.Latent is the start that inpainting models read; zeros when it is nil.
func DenoiseOnce(ctx context.Context, p Params, x *tensor.Tensor, sigma float32) (*tensor.Tensor, error) {
	if p.Latent == nil {
		p.Latent = like(x)
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	g := newGuide(&p, p.guider(), &Sampler{name: "a single prediction"}, []float32{sigma, 0})
	if err := g.prepare(ctx, like(x), nil); err != nil {
		return nil, err
	}
	return g.denoise(ctx, x, sigma)
}

// BrownianNoise returns the noise of SDE samplers: increments of one Brownian path over sigmas, scaled to unit variance.
// Each call of noise gives the increment from one sigma to another in the given shape. end has to be called when no more
// noise is wanted.
func BrownianNoise(shape []int, sigmas []float32, seed uint64) (noise NoiseSource, end func()) {
	p := newBrownianPath(shape, sigmas, seed, nil)
	return p.noise, p.close
}
