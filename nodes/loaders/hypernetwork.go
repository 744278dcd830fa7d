package loaders

import (
	"fmt"

	"comfygo/engine"
	"comfygo/engine/patch"
	"comfygo/nodes"
)

func init() { nodes.Register(&HypernetworkLoader{}) }

// HypernetworkLoader applies a hypernetwork to a U-Net's attention.
type HypernetworkLoader struct {
	Model    *engine.Model `in:"model" type:"MODEL"`
	Name     string        `in:"hypernetwork_name" files:"hypernetworks"`
	Strength float64       `in:"strength" default:"1.0" min:"-10.0" max:"10.0" step:"0.01" tooltip:"Strength of the hypernetwork. Negative values invert its effect."`
}

// Spec implements nodes.Node.
func (*HypernetworkLoader) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "HypernetworkLoader", DisplayName: "Load Hypernetwork", Category: "model/loaders", Module: "comfy_extras.nodes_hypernetwork", V3: true,
		Description: "Applies a hypernetwork: small networks beside the keys and values of attention, for Stable Diffusion 1.x and 2.x.",
		Outputs:     nodes.Outputs("MODEL"), Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *HypernetworkLoader) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, nodes.Errorf("AttributeError", "applying a hypernetwork: model is missing")
	}
	path, err := find(ctx, "hypernetworks", n.Name)
	if err != nil {
		return nodes.Result{}, err
	}
	h, err := patch.OpenHypernetwork(path, n.Strength)
	if err != nil {
		return nodes.Result{}, err
	}
	m := n.Model
	for _, at := range []patch.Point{patch.SelfAttention, patch.CrossAttention} {
		with, ok := m.WithPatch(h.At(at))
		if !ok {
			ctx.Warn(fmt.Sprintf("the hypernetwork has no effect: %s models have no such layers", n.Model.Family()))
			return nodes.Out(n.Model), nil
		}
		m = with
	}
	if !m.Attends(h.Widths()) {
		ctx.Warn(fmt.Sprintf("the hypernetwork %s has no effect: it has networks for the widths %v, which this %s model's attention does not have",
			n.Name, h.Widths(), n.Model.Family()))
	}
	return nodes.Out(m), nil
}
