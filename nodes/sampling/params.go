package sampling

import (
	"log/slog"

	"comfygo/engine"
	es "comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

var errNoModel = nodes.Errorf("RuntimeError", "sampling: there is no diffusion model")

// modelParams returns the parameters of a run that depend on its model.
func modelParams(model *engine.Model, log *slog.Logger) es.Params {
	return es.Params{
		Network: model, Model: model.Sampling(), Format: model.LatentFormat(), Inputs: model.Inputs,
		Hooks: model.Hooks(), Options: model.Options(), Log: log,
		Fits: func(shape []int, tokens int) bool { return shape[0] <= model.MaxRows(shape[1:], tokens) },
	}
}

// runParams are what a run takes from its model and its start; it reports progress to r.
func runParams(ctx *nodes.Context, model *engine.Model, latent engine.Latent, r *reporter) es.Params {
	p := modelParams(model, ctx.Log)
	p.Latent, p.NoiseMask = latent.Samples, latent.NoiseMask
	p.BatchIndex, p.DownscaleRatio, p.TemporalRatio = latent.BatchIndex, latent.DownscaleRatio, latent.TemporalRatio
	p.Along, p.AlongMasks = latent.Along, latent.AlongMasks
	p.OnStep = r.step
	return p
}

// withParts returns a latent with other samples: those of its parts.
func withParts(l engine.Latent, parts []*tensor.Tensor) engine.Latent {
	l.Samples, l.DownscaleRatio, l.TemporalRatio = parts[0], 0, 0
	if len(parts) > 1 {
		l.Along = parts[1:]
	}
	return l
}
