package sampling

import (
	"comfygo/engine"
	es "comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&RandomNoise{})
	nodes.Register(&DisableNoise{})
	nodes.Register(&SamplerCustom{})
	nodes.Register(&SamplerCustomAdvanced{})
	nodes.Register(&AddNoise{})
}

// Noise is the value of NOISE links: the noise of a seed, that of a latent, or none.
type Noise struct {
	Seed uint64
	None bool
	// Samples, when set, is the noise.
	Samples *tensor.Tensor
}

// draw returns the noise for each part of a latent.
func (n *Noise) draw(l engine.Latent) ([]*tensor.Tensor, error) {
	shapes := [][]int{l.Samples.Shape}
	for _, part := range l.Along {
		shapes = append(shapes, part.Shape)
	}
	if n.Samples != nil {
		one, err := es.GivenNoise(n.Samples, l.Samples.Shape)
		if len(shapes) > 1 && err == nil {
			err = nodes.Errorf("RuntimeError", "adding noise: the noise is a latent of shape %v, the latent is nested", n.Samples.Shape)
		}
		return []*tensor.Tensor{one}, err
	}
	if !n.None {
		return es.PrepareNestedNoise(shapes, n.Seed, l.BatchIndex)
	}
	out := make([]*tensor.Tensor, len(shapes))
	for i, shape := range shapes {
		out[i] = tensor.New(shape...)
	}
	return out, nil
}

// RandomNoise is the noise of a seed.
type RandomNoise struct {
	Seed uint64 `in:"noise_seed" type:"INT" default:"0" min:"0" max:"18446744073709551615" control_after_generate:"true"`
}

// Spec implements nodes.Node.
func (*RandomNoise) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "RandomNoise", Category: "model/sampling/noise", V3: true, Module: "comfy_extras.nodes_custom_sampler",
		Outputs: nodes.Outputs("NOISE"),
		Uses:    nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *RandomNoise) Run(_ *nodes.Context) (nodes.Result, error) {
	return nodes.Out(&Noise{Seed: n.Seed}), nil
}

// DisableNoise returns zero noise.
type DisableNoise struct{}

// Spec implements nodes.Node.
func (*DisableNoise) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "DisableNoise", Category: "model/sampling/noise", V3: true, Module: "comfy_extras.nodes_custom_sampler",
		SearchAliases: []string{"zero noise"},
		Outputs:       nodes.Outputs("NOISE"),
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (*DisableNoise) Run(_ *nodes.Context) (nodes.Result, error) {
	return nodes.Out(&Noise{None: true}), nil
}

// SamplerCustom runs a sampler through given levels.
type SamplerCustom struct {
	Model    *engine.Model       `in:"model" type:"MODEL"`
	AddNoise bool                `in:"add_noise" default:"true" advanced:"true"`
	Seed     uint64              `in:"noise_seed" type:"INT" default:"0" min:"0" max:"18446744073709551615" control_after_generate:"true"`
	CFG      float64             `in:"cfg" default:"8.0" min:"0.0" max:"100.0" step:"0.1" round:"0.01"`
	Positive engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative engine.Conditioning `in:"negative" type:"CONDITIONING"`
	Sampler  *es.Sampler         `in:"sampler" type:"SAMPLER"`
	Sigmas   []float32           `in:"sigmas" type:"SIGMAS"`
	Latent   engine.Latent       `in:"latent_image" type:"LATENT"`
}

// Spec implements nodes.Node.
func (*SamplerCustom) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SamplerCustom", Category: "model/sampling/custom", V3: true, Module: "comfy_extras.nodes_custom_sampler",
		Outputs: []nodes.Output{{Type: "LATENT", Name: "output"}, {Type: "LATENT", Name: "denoised_output"}},
		Uses:    nodes.UsesDevice,
	}
}

func (*SamplerCustom) Sizes(s *nodes.Sizing) nodes.Images { return s.Kept() }

// Run implements nodes.Node.
func (n *SamplerCustom) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, errNoModel
	}
	c, err := conditionings(named{"positive", n.Positive}, named{"negative", n.Negative})
	if err != nil {
		return nodes.Result{}, err
	}
	g := &Guider{Model: n.Model, Guider: es.CFGGuider(c[0], c[1], n.CFG)}
	return runCustom(ctx, g, &Noise{Seed: n.Seed, None: !n.AddNoise}, n.Sampler, n.Sigmas, n.Latent)
}

// SamplerCustomAdvanced runs a sampler through given levels with a guider and noise of choice.
type SamplerCustomAdvanced struct {
	Noise   *Noise        `in:"noise" type:"NOISE"`
	Guider  *Guider       `in:"guider" type:"GUIDER"`
	Sampler *es.Sampler   `in:"sampler" type:"SAMPLER"`
	Sigmas  []float32     `in:"sigmas" type:"SIGMAS"`
	Latent  engine.Latent `in:"latent_image" type:"LATENT"`
}

// Spec implements nodes.Node.
func (*SamplerCustomAdvanced) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SamplerCustomAdvanced", Category: "model/sampling/custom", V3: true, Module: "comfy_extras.nodes_custom_sampler",
		Outputs: []nodes.Output{{Type: "LATENT", Name: "output"}, {Type: "LATENT", Name: "denoised_output"}},
		Uses:    nodes.UsesDevice,
	}
}

func (*SamplerCustomAdvanced) Sizes(s *nodes.Sizing) nodes.Images { return s.Kept() }

// Run implements nodes.Node.
func (n *SamplerCustomAdvanced) Run(ctx *nodes.Context) (nodes.Result, error) {
	return runCustom(ctx, n.Guider, n.Noise, n.Sampler, n.Sigmas, n.Latent)
}

// AddNoise adds noise to a latent.
type AddNoise struct {
	Model  *engine.Model `in:"model" type:"MODEL"`
	Noise  *Noise        `in:"noise" type:"NOISE"`
	Sigmas []float32     `in:"sigmas" type:"SIGMAS"`
	Latent engine.Latent `in:"latent_image" type:"LATENT"`
}

// Spec implements nodes.Node.
func (*AddNoise) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "AddNoise", Category: "model/sampling/noise", V3: true, Module: "comfy_extras.nodes_custom_sampler",
		Experimental: true,
		Outputs:      nodes.Outputs("LATENT"),
		Uses:         nodes.UsesDevice,
	}
}

func (*AddNoise) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node.
func (n *AddNoise) Run(_ *nodes.Context) (nodes.Result, error) {
	switch {
	case n.Model == nil:
		return nodes.Result{}, errNoModel
	case n.Noise == nil || n.Latent.Samples == nil || len(n.Latent.Samples.Shape) < 3:
		return nodes.Result{}, nodes.Errorf("RuntimeError", "adding noise: the noise is missing or the latent has no channels")
	case len(n.Sigmas) == 0:
		return nodes.Out(n.Latent), nil
	}
	noise, err := n.Noise.draw(n.Latent)
	if err != nil {
		return nodes.Result{}, err
	}
	parts := append([]*tensor.Tensor{n.Latent.Samples}, n.Latent.Along...)
	for i, part := range parts {
		parts[i] = es.NoisyLatent(n.Model.Sampling(), n.Model.LatentFormat(), n.Sigmas, noise[i], part)
	}
	out := withParts(n.Latent, parts)
	out.DownscaleRatio, out.TemporalRatio = n.Latent.DownscaleRatio, n.Latent.TemporalRatio
	return nodes.Out(out), nil
}

// runCustom runs a sampler and returns the latent and the last prediction of it.
func runCustom(ctx *nodes.Context, g *Guider, noise *Noise, s *es.Sampler, sigmas []float32, latent engine.Latent) (nodes.Result, error) {
	if g == nil || noise == nil || s == nil {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "sampling: the guider, the noise or the sampler is missing")
	}
	r := newReporter(ctx, g.Model)
	defer r.close()
	p := runParams(ctx, g.Model, latent, r)
	p.Guider, p.DisableNoise, p.Noise = g.Guider, noise.None, noise.Samples
	p.Seed = noise.Seed // samplers draw by it even where the start has no noise
	samples, denoised, err := es.SampleParts(ctx, p, s, sigmas)
	if err != nil {
		return nodes.Result{}, err
	}
	out, guess := withParts(latent, samples), withParts(latent, denoised)
	if denoised[0] != samples[0] {
		guess.DownscaleRatio, guess.TemporalRatio = latent.DownscaleRatio, latent.TemporalRatio
	}
	return nodes.Out(out, guess), nil
}
