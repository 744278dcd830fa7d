// Package sampling holds the nodes that turn noise into latents (upstream: nodes.py).
package sampling

import (
	"comfygo/engine"
	es "comfygo/engine/sampling"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&KSampler{})
	nodes.Register(&KSamplerAdvanced{})
}

// KSampler denoises a latent in one go.
type KSampler struct {
	Model     *engine.Model       `in:"model" type:"MODEL" tooltip:"The diffusion model that denoises."`
	Seed      uint64              `in:"seed" type:"INT" default:"0" min:"0" max:"18446744073709551615" control_after_generate:"true" tooltip:"Chooses the noise: the same seed gives the same noise."`
	Steps     int                 `in:"steps" default:"20" min:"1" max:"10000" tooltip:"Number of denoising steps."`
	CFG       float64             `in:"cfg" default:"8.0" min:"0.0" max:"100.0" step:"0.1" round:"0.01" tooltip:"How strongly the prompt steers (classifier-free guidance). 1 ignores the negative prompt and takes half the time; high values look burnt."`
	Sampler   string              `in:"sampler_name" choices:"samplers" tooltip:"The way from noise to image: speed, quality and looks differ."`
	Scheduler string              `in:"scheduler" choices:"schedulers" tooltip:"How much noise is left after each step."`
	Positive  engine.Conditioning `in:"positive" type:"CONDITIONING" tooltip:"What the image should show."`
	Negative  engine.Conditioning `in:"negative" type:"CONDITIONING" tooltip:"What the image should not show."`
	Latent    engine.Latent       `in:"latent_image" type:"LATENT" tooltip:"The latent to start from."`
	Denoise   float64             `in:"denoise" default:"1.0" min:"0.0" max:"1.0" step:"0.01" tooltip:"How much of the start is replaced: 1 makes a new image, less keeps some of the old one's structure."`
}

// Spec implements nodes.Node.
func (*KSampler) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "KSampler", DisplayName: "KSampler", Category: "model/sampling",
		Description:   "Denoises a latent with a model, steered by a positive and a negative prompt.",
		SearchAliases: []string{"sampler", "sample", "generate", "denoise", "diffuse", "txt2img", "img2img"},
		Outputs:       []nodes.Output{{Type: "LATENT", Tooltip: "The denoised latent."}},
		Uses:          nodes.UsesDevice,
	}
}

func (*KSampler) Sizes(s *nodes.Sizing) nodes.Images { return s.Kept() }

// Choices implements nodes.Chooser.
func (*KSampler) Choices(_ nodes.Env, input string) []any { return choices(input) }

// Run implements nodes.Node.
func (n *KSampler) Run(ctx *nodes.Context) (nodes.Result, error) {
	return sample(ctx, n.Model, n.Latent, n.Positive, n.Negative, es.Params{
		CFG: n.CFG, Seed: n.Seed, Steps: n.Steps, Sampler: n.Sampler, Scheduler: n.Scheduler, Denoise: n.Denoise,
	})
}

// KSamplerAdvanced runs a part of the steps of a KSampler, so that several can follow each other.
type KSamplerAdvanced struct {
	Model     *engine.Model       `in:"model" type:"MODEL"`
	AddNoise  string              `in:"add_noise" options:"enable|disable" advanced:"true"`
	Seed      uint64              `in:"noise_seed" type:"INT" default:"0" min:"0" max:"18446744073709551615" control_after_generate:"true"`
	Steps     int                 `in:"steps" default:"20" min:"1" max:"10000"`
	CFG       float64             `in:"cfg" default:"8.0" min:"0.0" max:"100.0" step:"0.1" round:"0.01"`
	Sampler   string              `in:"sampler_name" choices:"samplers"`
	Scheduler string              `in:"scheduler" choices:"schedulers"`
	Positive  engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative  engine.Conditioning `in:"negative" type:"CONDITIONING"`
	Latent    engine.Latent       `in:"latent_image" type:"LATENT"`
	Start     int                 `in:"start_at_step" default:"0" min:"0" max:"10000" advanced:"true"`
	End       int                 `in:"end_at_step" default:"10000" min:"0" max:"10000" advanced:"true"`
	Leftover  string              `in:"return_with_leftover_noise" options:"disable|enable" advanced:"true"`
}

// Spec implements nodes.Node.
func (*KSamplerAdvanced) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "KSamplerAdvanced", DisplayName: "KSampler (Advanced)", Category: "model/sampling",
		Outputs: nodes.Outputs("LATENT"),
		Uses:    nodes.UsesDevice,
	}
}

func (*KSamplerAdvanced) Sizes(s *nodes.Sizing) nodes.Images { return s.Kept() }

// Choices implements nodes.Chooser.
func (*KSamplerAdvanced) Choices(_ nodes.Env, input string) []any { return choices(input) }

// Run implements nodes.Node.
func (n *KSamplerAdvanced) Run(ctx *nodes.Context) (nodes.Result, error) {
	return sample(ctx, n.Model, n.Latent, n.Positive, n.Negative, es.Params{
		CFG: n.CFG, Seed: n.Seed, Steps: n.Steps, Sampler: n.Sampler, Scheduler: n.Scheduler, Denoise: 1,
		DisableNoise: n.AddNoise == "disable", StartStep: &n.Start, LastStep: &n.End, FullDenoise: n.Leftover != "enable",
	})
}

// choices lists the samplers or the schedulers.
func choices(input string) []any {
	names := es.SchedulerNames()
	if input == "sampler_name" {
		names = es.SamplerNames()
	}
	out := make([]any, len(names))
	for i, n := range names {
		out[i] = n
	}
	return out
}

// sample fills in what all sampling nodes share, runs, and returns the latent with the other parts of its start.
func sample(ctx *nodes.Context, model *engine.Model, latent engine.Latent, positive, negative engine.Conditioning, p es.Params) (nodes.Result, error) {
	if model == nil {
		return nodes.Result{}, errNoModel
	}
	var err error
	if p.Positive, err = entries("positive", positive); err != nil {
		return nodes.Result{}, err
	}
	if p.Negative, err = entries("negative", negative); err != nil {
		return nodes.Result{}, err
	}
	r := newReporter(ctx, model)
	defer r.close()
	base := runParams(ctx, model, latent, r)
	base.Positive, base.Negative, base.CFG = p.Positive, p.Negative, p.CFG
	base.Seed, base.Steps, base.Sampler, base.Scheduler, base.Denoise = p.Seed, p.Steps, p.Sampler, p.Scheduler, p.Denoise
	base.DisableNoise, base.StartStep, base.LastStep, base.FullDenoise = p.DisableNoise, p.StartStep, p.LastStep, p.FullDenoise
	sampler, sigmas, err := base.Levels()
	if err != nil {
		return nodes.Result{}, err
	}
	parts, _, err := es.SampleParts(ctx, base, sampler, sigmas)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(withParts(latent, parts)), nil
}
