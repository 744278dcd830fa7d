package inpaint

import (
	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

func init() { nodes.Register(&DifferentialDiffusion{}) }

// DifferentialDiffusion reads a noise mask as a time: the lighter a place, the earlier it may change (Levin and Fried,
// "Differential Diffusion: Giving Each Pixel Its Strength").
type DifferentialDiffusion struct {
	Model    *engine.Model `in:"model" type:"MODEL"`
	Strength float64       `in:"strength" default:"1.0" min:"0.0" max:"1.0" step:"0.01" optional:"true"`
}

// Spec implements nodes.Node.
func (*DifferentialDiffusion) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "DifferentialDiffusion", DisplayName: "Differential Diffusion", Category: "experimental",
		Module: "comfy_extras.nodes_differential_diffusion", V3: true, Experimental: true,
		SearchAliases: []string{"inpaint gradient", "variable denoise strength"}, Outputs: nodes.Outputs("MODEL"),
	}
}

// Run implements nodes.Node.
func (n *DifferentialDiffusion) Run(*nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "inpainting: there is no diffusion model")
	}
	strength := n.Strength
	return nodes.Out(n.Model.WithHooks(func(h sampling.Hooks) sampling.Hooks {
		h.Mask = func(info sampling.MaskInfo, mask *tensor.Tensor) *tensor.Tensor { return maskAt(info, mask, strength) }
		return h
	})), nil
}

// maskAt returns the mask for a sigma: 1 where it has reached the share of the way from noise to image that is still
// to go. A strength below 1 mixes it with the original mask; 0 counts as 1, as in upstream.
func maskAt(info sampling.MaskInfo, mask *tensor.Tensor, strength float64) *tensor.Tensor {
	last := float32(info.Model.SigmaMin())
	if end := info.Sigmas[len(info.Sigmas)-1]; end > last {
		last = end
	}
	from, to, now := info.Model.Timestep(info.Sigmas[0]), info.Model.Timestep(last), info.Model.Timestep(info.Sigma)
	threshold := (now - to) / (from - to)
	out := tensor.New(mask.Shape...)
	for i, v := range mask.Data {
		if v >= threshold {
			out.Data[i] = 1
		}
	}
	if strength == 0 || strength >= 1 {
		return out
	}
	on, off := float32(strength), float32(1-strength)
	for i, v := range mask.Data {
		out.Data[i] = float32(on*out.Data[i]) + float32(off*v)
	}
	return out
}
