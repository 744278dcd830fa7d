package patches

import (
	"comfygo/engine"
	"comfygo/nodes"
)

func init() { nodes.Register(&WanBlockSwap{}) }

// WanBlockSwap passes a model on, so that workflows made for the custom node of that name run: which weights are in GPU
// memory is decided by the server.
type WanBlockSwap struct {
	Model *engine.Model `in:"model" type:"MODEL"`
}

// Spec implements nodes.Node.
func (*WanBlockSwap) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "wanBlockSwap", NoCategory: true,
		Module: "comfy_extras.nodes_nop", V3: true,
		Outputs:     nodes.Outputs("MODEL"),
		Description: "Does nothing: stands in for a custom node that offloads blocks of Wan models, which the server does itself.",
		Deprecated:  true,
		Uses:        nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *WanBlockSwap) Run(*nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, errNoModel
	}
	return nodes.Out(n.Model), nil
}
