package patches

import (
	"fmt"

	"comfygo/engine"
	"comfygo/engine/patch"
	es "comfygo/engine/sampling"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&PatchModelAddDownscale{})
	nodes.Register(&SelfAttentionGuidance{})
}

// PatchModelAddDownscale has a U-Net see less of the latent behind one of its input blocks.
type PatchModelAddDownscale struct {
	Model           *engine.Model `in:"model" type:"MODEL"`
	Block           int           `in:"block_number" advanced:"true" default:"3" min:"1" max:"32" step:"1" tooltip:"Number of the input block."`
	Factor          float64       `in:"downscale_factor" default:"2.0" min:"0.1" max:"9.0" step:"0.001" tooltip:"What sizes are divided by."`
	Start           float64       `in:"start_percent" advanced:"true" default:"0.0" min:"0.0" max:"1.0" step:"0.001" tooltip:"Where in the run this begins."`
	End             float64       `in:"end_percent" advanced:"true" default:"0.35" min:"0.0" max:"1.0" step:"0.001" tooltip:"Where in the run this ends."`
	AfterSkip       bool          `in:"downscale_after_skip" advanced:"true" default:"true" tooltip:"Leaves the skip connection of the block at its size."`
	DownscaleMethod string        `in:"downscale_method" options:"bicubic|nearest-exact|bilinear|area|bislerp"`
	UpscaleMethod   string        `in:"upscale_method" options:"bicubic|nearest-exact|bilinear|area|bislerp"`
}

// Spec implements nodes.Node.
func (*PatchModelAddDownscale) Spec() nodes.Spec {
	s := unetSpec("PatchModelAddDownscale", "comfy_extras.nodes_model_downscale",
		"Scales the latent down inside of a U-Net during the first steps, which keeps compositions together at sizes beyond those that it was trained with.")
	s.DisplayName = "PatchModelAddDownscale (Kohya Deep Shrink)"
	return s
}

// Run implements nodes.Node.
func (n *PatchModelAddDownscale) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, errNoModel
	}
	ms := n.Model.Sampling()
	at := patch.SigmaRange{Low: float32(ms.PercentToSigma(n.End)), High: float32(ms.PercentToSigma(n.Start))}
	return patched(ctx, n.Model, "scaling inside of the model",
		patch.Shrink{SigmaRange: at, Index: n.Block, Factor: n.Factor, Method: n.DownscaleMethod, AfterSkip: n.AfterSkip},
		patch.Grow{Method: n.UpscaleMethod})
}

// SelfAttentionGuidance guides away from a blurred latent.
type SelfAttentionGuidance struct {
	Model *engine.Model `in:"model" type:"MODEL"`
	Scale float64       `in:"scale" default:"0.5" min:"-2.0" max:"5.0" step:"0.01" tooltip:"How far the prediction is guided."`
	Sigma float64       `in:"blur_sigma" advanced:"true" default:"2.0" min:"0.0" max:"10.0" step:"0.1" tooltip:"Deviation of the blur, in cells of the latent."`
}

// Spec implements nodes.Node.
func (*SelfAttentionGuidance) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SelfAttentionGuidance", DisplayName: "Self-Attention Guidance", Category: "experimental", Module: "comfy_extras.nodes_sag", V3: true,
		Description: "Guides away from what a U-Net predicts for a latent that is blurred where it attends to most (arXiv 2210.00939).",
		Outputs:     nodes.Outputs("MODEL"), Experimental: true, Uses: nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *SelfAttentionGuidance) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, errNoModel
	}
	if n.Sigma == 0 {
		return nodes.Result{}, nodes.Errorf("ValueError", "self-attention guidance: blur_sigma is 0, wanted a positive deviation")
	}
	seen := &patch.Attended{}
	m, ok := n.Model.WithPatch(patch.Probe{Seen: seen})
	if !ok {
		ctx.Warn(fmt.Sprintf("self-attention guidance has no effect: %s models have no such layers", m.Family()))
		return nodes.Out(m), nil
	}
	return nodes.Out(m.WithHooks(func(h es.Hooks) es.Hooks {
		h.BothSides = true
		return h.WithAfter(es.SelfAttentionGuidance(n.Scale, n.Sigma, seen.Map))
	})), nil
}
