package sampling

import (
	"log/slog"

	"comfygo/engine"
	es "comfygo/engine/sampling"
	"comfygo/nodes"
)

var errNoModel = nodes.Errorf("RuntimeError", "sampling: there is no diffusion model")

// modelParams are what a run takes from its model.
func modelParams(model *engine.Model, log *slog.Logger) es.Params {
	return es.Params{
		Network: model, Model: model.Sampling(), Format: model.LatentFormat(), Concat: model.Concat(),
		Hooks: model.Hooks(), Options: model.Options(), Log: log,
		Fits: func(shape []int, _ int) bool {
			return shape[0] <= model.MaxRows(shape[len(shape)-2], shape[len(shape)-1])
		},
	}
}

// runParams are what a run takes from its model and its start; it reports progress to r.
func runParams(ctx *nodes.Context, model *engine.Model, latent engine.Latent, r *reporter) es.Params {
	p := modelParams(model, ctx.Log)
	p.Latent, p.NoiseMask = latent.Samples, latent.NoiseMask
	p.BatchIndex, p.DownscaleRatio = latent.BatchIndex, latent.DownscaleRatio
	p.OnStep = r.step
	return p
}
