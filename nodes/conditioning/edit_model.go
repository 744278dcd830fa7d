package conditioning

import (
	"comfygo/engine"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&ReferenceLatent{})
}

// ReferenceLatent adds a reference latent to a conditioning.
type ReferenceLatent struct {
	Conditioning engine.Conditioning `in:"conditioning" type:"CONDITIONING"`
	Latent       engine.Latent       `in:"latent" type:"LATENT" optional:"true"`
}

// Spec implements nodes.Node.
func (*ReferenceLatent) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ReferenceLatent", DisplayName: "Set Reference Latent", Category: "model/conditioning",
		Module: "comfy_extras.nodes_edit_model", V3: true,
		Outputs:     nodes.Outputs("CONDITIONING"),
		Description: "Sets the latent that an edit model works from. With models that take several reference images, chain several of these nodes.",
		Uses:        nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *ReferenceLatent) Run(*nodes.Context) (nodes.Result, error) {
	if n.Latent.Samples == nil {
		return nodes.Out(n.Conditioning), nil
	}
	return nodes.Out(n.Conditioning.Append("reference_latents", []any{n.Latent.Samples})), nil
}
