package patches

import (
	"fmt"

	"comfygo/engine"
	"comfygo/engine/patch"
	es "comfygo/engine/sampling"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&FreeU{})
	nodes.Register(&FreeUV2{})
	nodes.Register(&PerturbedAttentionGuidance{})
	nodes.Register(&NAGuidance{})
}

// patched returns the model with graph patches; the client is notified if the model does not use
// them.
func patched(ctx *nodes.Context, m *engine.Model, what string, patches ...patch.GraphPatch) (nodes.Result, error) {
	if m == nil {
		return nodes.Result{}, errNoModel
	}
	with := m
	for _, p := range patches {
		var ok bool
		if with, ok = with.WithPatch(p); !ok {
			ctx.Warn(fmt.Sprintf("%s has no effect: %s models have no such layers", what, m.Family()))
			return nodes.Out(m), nil
		}
	}
	return nodes.Out(with), nil
}

// FreeU strengthens the backbone of a U-Net against its skip connections.
type FreeU struct {
	Model *engine.Model `in:"model" type:"MODEL"`
	B1    float64       `in:"b1" advanced:"true" default:"1.1" min:"0.0" max:"10.0" step:"0.01" tooltip:"Factor on the backbone at the lowest resolution."`
	B2    float64       `in:"b2" advanced:"true" default:"1.2" min:"0.0" max:"10.0" step:"0.01" tooltip:"Factor on the backbone at the next resolution."`
	S1    float64       `in:"s1" advanced:"true" default:"0.9" min:"0.0" max:"10.0" step:"0.01" tooltip:"Factor on low frequencies of the skip connections at the lowest resolution."`
	S2    float64       `in:"s2" advanced:"true" default:"0.2" min:"0.0" max:"10.0" step:"0.01" tooltip:"Factor on low frequencies of the skip connections at the next resolution."`
}

// Spec implements nodes.Node.
func (*FreeU) Spec() nodes.Spec {
	return unetSpec("FreeU", "comfy_extras.nodes_freelunch",
		"Strengthens the backbone of a U-Net and weakens low frequencies of its skip connections, at no cost (arXiv 2309.11497).")
}

// Run implements nodes.Node.
func (n *FreeU) Run(ctx *nodes.Context) (nodes.Result, error) {
	return patched(ctx, n.Model, "FreeU", patch.FreeU{B1: float32(n.B1), B2: float32(n.B2), S1: float32(n.S1), S2: float32(n.S2)})
}

// FreeUV2 is FreeU with a factor on the backbone that follows the mean of the channels.
type FreeUV2 struct {
	Model *engine.Model `in:"model" type:"MODEL"`
	B1    float64       `in:"b1" advanced:"true" default:"1.3" min:"0.0" max:"10.0" step:"0.01" tooltip:"Highest factor on the backbone at the lowest resolution."`
	B2    float64       `in:"b2" advanced:"true" default:"1.4" min:"0.0" max:"10.0" step:"0.01" tooltip:"Highest factor on the backbone at the next resolution."`
	S1    float64       `in:"s1" advanced:"true" default:"0.9" min:"0.0" max:"10.0" step:"0.01" tooltip:"Factor on low frequencies of the skip connections at the lowest resolution."`
	S2    float64       `in:"s2" advanced:"true" default:"0.2" min:"0.0" max:"10.0" step:"0.01" tooltip:"Factor on low frequencies of the skip connections at the next resolution."`
}

// Spec implements nodes.Node.
func (*FreeUV2) Spec() nodes.Spec {
	return unetSpec("FreeU_V2", "comfy_extras.nodes_freelunch",
		"FreeU with a factor on the backbone that follows the mean of the channels at each position.")
}

// Run implements nodes.Node.
func (n *FreeUV2) Run(ctx *nodes.Context) (nodes.Result, error) {
	return patched(ctx, n.Model, "FreeU", patch.FreeU{B1: float32(n.B1), B2: float32(n.B2), S1: float32(n.S1), S2: float32(n.S2), ByMean: true})
}

// PerturbedAttentionGuidance guides away from a network whose middle block does not attend.
type PerturbedAttentionGuidance struct {
	Model *engine.Model `in:"model" type:"MODEL"`
	Scale float64       `in:"scale" default:"3.0" min:"0.0" max:"100.0" step:"0.01" round:"0.01" tooltip:"How far the prediction is guided."`
}

// Spec implements nodes.Node.
func (*PerturbedAttentionGuidance) Spec() nodes.Spec {
	return unetSpec("PerturbedAttentionGuidance", "comfy_extras.nodes_pag",
		"Guides away from what a U-Net predicts without attention in its middle block (arXiv 2403.17377). It costs one more prediction a step.")
}

// Run implements nodes.Node.
func (n *PerturbedAttentionGuidance) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, errNoModel
	}
	p := patch.Perturb{Block: patch.MiddleBlock}
	if !n.Model.Patchable(p.Point()) {
		ctx.Warn(fmt.Sprintf("perturbed-attention guidance has no effect: %s models have no such layers", n.Model.Family()))
		return nodes.Out(n.Model), nil
	}
	options := map[string]any{engine.OptionPatches: patch.GraphPatches{p}}
	return nodes.Out(n.Model.WithHooks(func(h es.Hooks) es.Hooks { return h.WithAfter(es.PerturbedGuidance(n.Scale, options)) })), nil
}

// NAGuidance guides the results of attention away from those of the negative prompt.
type NAGuidance struct {
	Model *engine.Model `in:"model" type:"MODEL" tooltip:"Diffusion model to guide."`
	Scale float64       `in:"nag_scale" default:"5.0" min:"0.0" max:"50.0" step:"0.1" tooltip:"How far the results of attention are guided away from the negative prompt."`
	Alpha float64       `in:"nag_alpha" default:"0.5" min:"0.0" max:"1.0" step:"0.01" tooltip:"Share of the guided result: 0 has no effect."`
	Tau   float64       `in:"nag_tau" default:"1.5" min:"1.0" max:"10.0" step:"0.01" tooltip:"Bound on the norm of the guided result against that of the positive prompt."`
}

// Spec implements nodes.Node.
func (*NAGuidance) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "NAGuidance", DisplayName: "Normalized Attention Guidance", Category: "advanced/guidance", Module: "comfy_extras.nodes_nag", V3: true,
		Description: "Guides the results of attention away from the negative prompt, also in distilled models (arXiv 2505.21179).",
		Outputs:     []nodes.Output{{Type: "MODEL", Tooltip: "The guided model."}}, Experimental: true, Uses: nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *NAGuidance) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, errNoModel
	}
	p := patch.NormalizedGuidance{Scale: float32(n.Scale), Alpha: float32(n.Alpha), Tau: float32(n.Tau)}
	m := n.Model
	if m.Patchable(p.Point()) { // else the negative prompt would be computed for nothing
		m = m.WithHooks(func(h es.Hooks) es.Hooks {
			h.BothSides = true
			return h
		})
	}
	return patched(ctx, m, "normalized attention guidance", p)
}

func unetSpec(name, module, description string) nodes.Spec {
	return nodes.Spec{
		Name: name, Category: "model/patch/unet", Module: module, V3: true, Description: description,
		Outputs: nodes.Outputs("MODEL"), Uses: nodes.UsesNothing,
	}
}
