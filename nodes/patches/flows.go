package patches

import (
	"comfygo/engine"
	es "comfygo/engine/sampling"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&ModelSamplingLTXV{})
	nodes.Register(&FreSca{})
}

// ModelSamplingLTXV sets the shift of LTX-Video for a video size.
type ModelSamplingLTXV struct {
	Model     *engine.Model `in:"model" type:"MODEL"`
	MaxShift  float64       `in:"max_shift" default:"2.05" min:"0.0" max:"100.0" step:"0.01"`
	BaseShift float64       `in:"base_shift" default:"0.95" min:"0.0" max:"100.0" step:"0.01"`
	Latent    engine.Latent `in:"latent" type:"LATENT" optional:"true"`
}

// Spec implements nodes.Node.
func (*ModelSamplingLTXV) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ModelSamplingLTXV", Category: "model/patch/ltxv", V3: true, Module: "comfy_extras.nodes_lt",
		Outputs: nodes.Outputs("MODEL"),
	}
}

// Run implements nodes.Node.
func (n *ModelSamplingLTXV) Run(_ *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, errNoModel
	}
	return nodes.Out(n.Model.WithSampling(es.FluxShift(es.TokenShift(n.BaseShift, n.MaxShift, n.Latent.Positions())))), nil
}

// FreSca scales the guidance by frequency.
type FreSca struct {
	Model  *engine.Model `in:"model" type:"MODEL"`
	Low    float64       `in:"scale_low" default:"1.0" min:"0" max:"10" step:"0.01" advanced:"true" tooltip:"The factor on large shapes."`
	High   float64       `in:"scale_high" default:"1.25" min:"0" max:"10" step:"0.01" advanced:"true" tooltip:"The factor on detail."`
	Cutoff int           `in:"freq_cutoff" default:"20" min:"1" max:"10000" step:"1" advanced:"true" tooltip:"How many periods across the image count as large shapes."`
}

// Spec implements nodes.Node.
func (*FreSca) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "FreSca", DisplayName: "FreSca", Category: "experimental", V3: true, Module: "comfy_extras.nodes_fresca",
		Description: "Scales the guidance of large shapes and of detail apart from each other.", SearchAliases: []string{"frequency guidance"}, Experimental: true,
		Outputs: nodes.Outputs("MODEL"),
	}
}

// Run implements nodes.Node.
func (n *FreSca) Run(_ *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, errNoModel
	}
	return nodes.Out(n.Model.WithHooks(func(h es.Hooks) es.Hooks { return h.WithBefore(es.FreSca(n.Low, n.High, n.Cutoff)) })), nil
}
