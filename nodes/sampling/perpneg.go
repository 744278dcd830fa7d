package sampling

import (
	"comfygo/engine"
	es "comfygo/engine/sampling"
	"comfygo/nodes"
)

func init() { nodes.Register(&PerpNeg{}) }

// PerpNeg is the older form of PerpNegGuider: it changes the guidance of a model.
type PerpNeg struct {
	Model             *engine.Model       `in:"model" type:"MODEL"`
	EmptyConditioning engine.Conditioning `in:"empty_conditioning" type:"CONDITIONING"`
	NegScale          float64             `in:"neg_scale" default:"1.0" min:"0.0" max:"100.0" step:"0.01" advanced:"true"`
}

// Spec implements nodes.Node.
func (*PerpNeg) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "PerpNeg", DisplayName: "Perp-Neg (DEPRECATED by Perp-Neg Guider)", Category: "experimental", V3: true, Module: "comfy_extras.nodes_perpneg",
		Experimental: true, Deprecated: true,
		Outputs: nodes.Outputs("MODEL"),
	}
}

// Run implements nodes.Node.
func (n *PerpNeg) Run(_ *nodes.Context) (nodes.Result, error) {
	c, err := conditionings(named{"empty_conditioning", n.EmptyConditioning})
	if err != nil {
		return nodes.Result{}, err
	}
	if n.Model == nil {
		return nodes.Result{}, errNoModel
	}
	return nodes.Out(n.Model.WithHooks(func(h es.Hooks) es.Hooks { return h.WithCombine(es.PerpNegCombine(c[0], n.NegScale)) })), nil
}
