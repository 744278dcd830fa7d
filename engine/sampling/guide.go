package sampling

import (
	"context"
	"errors"
	"log/slog"

	"comfygo/engine/tensor"
)

// ErrNotFinite reports that the network returned NaN or infinity.
var ErrNotFinite = errors.New("the model's output is not finite")

// guide predicts clean latents under guidance by two conditionings (Ho and Salimans, "Classifier-Free Diffusion
// Guidance"). Upstream: CFGGuider with sampling_function and KSamplerX0Inpaint.
type guide struct {
	params             *Params
	model              *ModelSampling
	log                *slog.Logger
	positive, negative []*entry
	scale              float32
	// both has the negative side predicted even where the scale makes it irrelevant.
	both bool
	// uncond is the negative side's latest prediction.
	uncond *tensor.Tensor
	// inpaint, when set, keeps what the noise mask protects.
	inpaint *inpaint
	steps   int
	warned  bool
}

// denoise predicts the clean latent of x.
func (g *guide) denoise(ctx context.Context, x *tensor.Tensor, sigma float32) (*tensor.Tensor, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if g.inpaint != nil {
		x = g.inpaint.before(g.model, x, sigma)
	}
	out, err := g.guided(ctx, x, sigma)
	if err != nil {
		return nil, err
	}
	if g.inpaint != nil {
		out = g.inpaint.after(out)
	}
	return out, nil
}

func (g *guide) guided(ctx context.Context, x *tensor.Tensor, sigma float32) (*tensor.Tensor, error) {
	sides := [2][]*entry{g.positive, g.negative}
	if !g.both && closeTo(float64(g.scale), 1, 1e-9, 0) {
		sides[1] = nil
	}
	out, err := g.predict(ctx, sides, x, sigma)
	if err != nil {
		return nil, err
	}
	g.uncond = out[1]
	return zip(out[0], out[1], func(cond, uncond float32) float32 {
		return uncond + float32((cond-uncond)*g.scale)
	}), nil
}

// inpaint keeps the parts of a latent that its noise mask protects.
type inpaint struct {
	mask, latent, noise *tensor.Tensor
}

// before returns x with the protected parts replaced by the latent at the same noise level.
func (p *inpaint) before(m *ModelSampling, x *tensor.Tensor, sigma float32) *tensor.Tensor {
	kept := m.AddNoise(sigma, p.noise, p.latent, false)
	out := like(x)
	for i, k := range p.mask.Data {
		out.Data[i] = float32(x.Data[i]*k) + float32(kept.Data[i]*(1-k))
	}
	return out
}

// after returns the prediction with the protected parts replaced by the latent.
func (p *inpaint) after(denoised *tensor.Tensor) *tensor.Tensor {
	out := like(denoised)
	for i, k := range p.mask.Data {
		out.Data[i] = float32(denoised.Data[i]*k) + float32(p.latent.Data[i]*(1-k))
	}
	return out
}
