package ltxv

import (
	"comfygo/engine"
	"comfygo/nodes"
)

func init() { nodes.Register(&LTXVLatentUpsampler{}) }

// LTXVLatentUpsampler enlarges a video latent by an upscale model.
type LTXVLatentUpsampler struct {
	Samples engine.Latent          `in:"samples" type:"LATENT"`
	Model   *engine.LatentUpscaler `in:"upscale_model" type:"LATENT_UPSCALE_MODEL"`
	VAE     *engine.VAE            `in:"vae" type:"VAE"`
}

// Spec implements nodes.Node.
func (*LTXVLatentUpsampler) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LTXVLatentUpsampler", Category: "model/latent/ltxv", Module: "comfy_extras.nodes_lt_upsampler", V3: true,
		Outputs: nodes.Outputs("LATENT"), Experimental: true, Uses: nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer.
func (*LTXVLatentUpsampler) Sizes(*nodes.Sizing) nodes.Images { return nodes.UnknownImages() }

// Run implements nodes.Node. A noise mask is dropped, as it belongs to the smaller latent.
func (n *LTXVLatentUpsampler) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := checkVideo(n.Samples); err != nil {
		return nodes.Result{}, err
	}
	switch {
	case n.Model == nil:
		return nodes.Result{}, nodes.Errorf("AttributeError", "enlarging the latent: there is no upscale model: connect LatentUpscaleModelLoader")
	case n.VAE == nil:
		return nodes.Result{}, nodes.Errorf("AttributeError", "enlarging the latent: there is no VAE: connect the VAE of the model")
	}
	y, err := n.VAE.UpscaleWith(ctx, n.Model, n.Samples.Samples)
	if err != nil {
		return nodes.Result{}, err
	}
	out := n.Samples
	out.Samples, out.NoiseMask = y, nil
	return nodes.Out(out), nil
}
