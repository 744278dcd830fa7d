package sampling

import (
	"context"
	"fmt"

	"comfygo/engine/tensor"
)

// Denoise predicts the clean latent of x at sigma sigma. It fails when ctx ends.
type Denoise func(ctx context.Context, x *tensor.Tensor, sigma float32) (*tensor.Tensor, error)

// Run is what a sampler works on.
type Run struct {
	Denoise Denoise
	// X is the noisy latent at Sigmas[0]; Sigmas are the levels to go through, at least one. A sampler may change them: the
	// result belongs to the last.
	X      *tensor.Tensor
	Sigmas []float32
	Seed   uint64
	Model  *ModelSampling
	// Generator is the one that drew the run's noise, where that left it.
	Generator *Generator
	// Format relates the latent to that of the VAE.
	Format LatentFormat
	// Option returns a run option, nil without one; SetOption sets it for the predictions that follow.
	Option    func(name string) any
	SetOption func(name string, value any)
	// Uncond returns the negative side's part of the latest prediction.
	Uncond func() *tensor.Tensor
	// Step is called for step i after its first prediction.
	Step func(i int, x, denoised *tensor.Tensor)
}

// predict denoises x at level i of the schedule and reports the step.
func (r *Run) predict(ctx context.Context, i int, x *tensor.Tensor) (*tensor.Tensor, error) {
	denoised, err := r.Denoise(ctx, x, r.Sigmas[i])
	if err != nil {
		return nil, err
	}
	r.Step(i, x, denoised)
	return denoised, nil
}

// fresh returns the noise of the ancestral samplers.
func (r *Run) fresh() NoiseSource { return freshNoise(r.X.Shape, r.Seed) }

// samplerFunc takes a latent through the levels of a run.
type samplerFunc func(ctx context.Context, r *Run) (*tensor.Tensor, error)

// Sampler denoises a latent: the value of SAMPLER links. It is immutable.
type Sampler struct {
	name string
	run  samplerFunc
	// uncond reports that the sampler reads Run.Uncond.
	uncond bool
	// freshInpaint makes masked runs draw new noise for the protected part.
	freshInpaint bool
	// raw reports that the sampler starts from the noise alone and knows no mask.
	raw bool
	// causal reports that the sampler is for networks that are Causal.
	causal bool
}

// Name returns the sampler's name in the list of samplers, or that of the node that made it.
func (s *Sampler) Name() string { return s.name }

// SamplerNames lists the samplers in upstream's order.
func SamplerNames() []string {
	out := make([]string, len(samplers))
	for i, s := range samplers {
		out[i] = s.name
	}
	return out
}

// NewSampler returns a sampler of the list with its default settings. It fails for a name it does not know.
func NewSampler(name string) (*Sampler, error) {
	for i := range samplers {
		if samplers[i].name == name {
			return &samplers[i], nil
		}
	}
	return nil, fmt.Errorf("choosing a sampler: unknown sampler %q", name)
}
