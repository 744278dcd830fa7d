package patches

import (
	"fmt"

	"comfygo/engine"
	es "comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

func init() { nodes.Register(&SUPIRApply{}) }

// supirSigma is the sigma at which the strength and the pull of SUPIR begin.
const supirSigma = 14.6146

// SUPIRApply restores an image with SDXL.
type SUPIRApply struct {
	Model    *engine.Model      `in:"model" type:"MODEL"`
	Patch    *engine.ModelPatch `in:"model_patch" type:"MODEL_PATCH"`
	VAE      *engine.VAE        `in:"vae" type:"VAE"`
	Image    *tensor.Tensor     `in:"image" type:"IMAGE"`
	Start    float64            `in:"strength_start" default:"1.0" min:"0.0" max:"10.0" step:"0.01" tooltip:"Strength at high sigmas, where sampling begins."`
	End      float64            `in:"strength_end" default:"1.0" min:"0.0" max:"10.0" step:"0.01" tooltip:"Strength at the sigma zero; between both it changes linearly with the sigma."`
	Restore  float64            `in:"restore_cfg" default:"4.0" min:"0.0" max:"20.0" step:"0.1" advanced:"true" tooltip:"Exponent of the pull towards the image: larger ones act only at the highest sigmas. 0 turns it off."`
	Smallest float64            `in:"restore_cfg_s_tmin" default:"0.05" min:"0.0" max:"1.0" step:"0.01" advanced:"true" tooltip:"Sigma at and below which nothing is pulled towards the image."`
}

// Spec implements nodes.Node.
func (*SUPIRApply) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SUPIRApply", Category: "model/patch/supir", Module: "comfy_extras.nodes_model_patch", V3: true, Experimental: true,
		Description: "Restores an image with SDXL by a SUPIR model patch: sample an empty latent of the image's size with it.",
		Outputs:     nodes.Outputs("MODEL"), Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *SUPIRApply) Run(ctx *nodes.Context) (nodes.Result, error) {
	switch {
	case n.Model == nil:
		return nodes.Result{}, errNoModel
	case n.Patch == nil:
		return nodes.Result{}, nodes.Errorf("RuntimeError", "patching a model: there is no model patch: connect one from ModelPatchLoader")
	case n.VAE == nil:
		return nodes.Result{}, nodes.Errorf("AttributeError", "restoring an image: there is no VAE: connect the VAE of SDXL")
	case n.Image == nil || len(n.Image.Shape) != 4 || n.Image.Len() == 0:
		return nodes.Result{}, nodes.Errorf("RuntimeError", "restoring an image: there is no image: connect one")
	}
	if models, latent := n.Patch.Patches(); !latent {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "restoring an image: the model patch is not SUPIR's but one for %s: load SUPIR's file with ModelPatchLoader", models)
	}
	encoder, err := n.Patch.EncoderOf(n.VAE)
	if err != nil {
		return nodes.Result{}, err
	}
	z, err := encoder.Encode(ctx, n.Image)
	if err != nil {
		return nodes.Result{}, fmt.Errorf("encoding the image to restore: %w", err)
	}
	m, err := n.Model.Attach(n.Patch, engine.PatchOptions{Latent: z, Strength: n.Start, Fade: &engine.Fade{From: supirSigma, To: n.End}, End: 1})
	if err != nil {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "%w", err)
	}
	if n.Restore <= 0 {
		return nodes.Out(m), nil
	}
	shown, err := n.VAE.Decode(ctx, z)
	if err != nil {
		return nodes.Result{}, fmt.Errorf("decoding the image to restore: %w", err)
	}
	back, err := n.VAE.Encode(ctx, shown)
	if err != nil {
		return nodes.Result{}, fmt.Errorf("encoding the image to restore again: %w", err)
	}
	pull := es.Towards(m.LatentFormat().In(back), supirSigma, n.Restore, n.Smallest)
	return nodes.Out(m.WithHooks(func(h es.Hooks) es.Hooks { return h.WithAfter(pull) })), nil
}
