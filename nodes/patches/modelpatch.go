package patches

import (
	"comfygo/engine"
	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&QwenImageDiffsynthControlnet{})
	nodes.Register(&ZImageFunControlnet{})
	nodes.Register(&USOStyleReference{})
	nodes.Register(&AnimaLLLiteApply{})
}

// attached returns the model with a model patch.
func attached(m *engine.Model, p *engine.ModelPatch, o engine.PatchOptions) (nodes.Result, error) {
	if m == nil {
		return nodes.Result{}, errNoModel
	}
	if p == nil {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "patching a model: there is no model patch")
	}
	with, err := m.Attach(p, o)
	if err != nil {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "%w", err)
	}
	return nodes.Out(with), nil
}

// kept returns where a mask [B,H,W] keeps the image; nil for no mask.
func kept(mask *tensor.Tensor) (*tensor.Tensor, error) {
	if mask == nil {
		return nil, nil
	}
	if len(mask.Shape) < 2 || mask.Len() == 0 {
		return nil, nodes.Errorf("RuntimeError", "patching a model: the mask has shape %v, wanted [B,H,W]", mask.Shape)
	}
	out := mask.Clone()
	for i, v := range out.Data {
		out.Data[i] = 1 - v
	}
	return out, nil
}

// QwenImageDiffsynthControlnet steers Qwen-Image by an image.
type QwenImageDiffsynthControlnet struct {
	Model    *engine.Model      `in:"model" type:"MODEL"`
	Patch    *engine.ModelPatch `in:"model_patch" type:"MODEL_PATCH"`
	VAE      *engine.VAE        `in:"vae" type:"VAE"`
	Image    *tensor.Tensor     `in:"image" type:"IMAGE"`
	Strength float64            `in:"strength" default:"1.0" min:"-10.0" max:"10.0" step:"0.01"`
	Mask     *tensor.Tensor     `in:"mask" type:"MASK" optional:"true"`
}

// Spec implements nodes.Node.
func (*QwenImageDiffsynthControlnet) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "QwenImageDiffsynthControlnet", DisplayName: "Apply Qwen Image DiffSynth ControlNet", Category: "model/patch/qwen",
		Module: "comfy_extras.nodes_model_patch", Experimental: true,
		Description: "Steers Qwen-Image by an image with one of DiffSynth's ControlNets; where the mask is one, an inpainting one fills.",
		Outputs:     nodes.Outputs("MODEL"), Uses: nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *QwenImageDiffsynthControlnet) Run(*nodes.Context) (nodes.Result, error) {
	mask, err := kept(n.Mask)
	if err != nil {
		return nodes.Result{}, err
	}
	return attached(n.Model, n.Patch, engine.PatchOptions{VAE: n.VAE, Image: n.Image, Mask: mask, Strength: n.Strength, End: 1})
}

// ZImageFunControlnet steers Z-Image by an image, or fills a hole in one.
type ZImageFunControlnet struct {
	Model    *engine.Model      `in:"model" type:"MODEL"`
	Patch    *engine.ModelPatch `in:"model_patch" type:"MODEL_PATCH"`
	VAE      *engine.VAE        `in:"vae" type:"VAE"`
	Strength float64            `in:"strength" default:"1.0" min:"-10.0" max:"10.0" step:"0.01"`
	Image    *tensor.Tensor     `in:"image" type:"IMAGE" optional:"true"`
	Inpaint  *tensor.Tensor     `in:"inpaint_image" type:"IMAGE" optional:"true"`
	Mask     *tensor.Tensor     `in:"mask" type:"MASK" optional:"true"`
}

// Spec implements nodes.Node.
func (*ZImageFunControlnet) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ZImageFunControlnet", DisplayName: "Apply Z-Image Fun ControlNet", Category: "model/patch/z-image",
		Module: "comfy_extras.nodes_model_patch", Experimental: true,
		Description: "Steers Z-Image by an image with a Fun ControlNet; newer ones also fill what a mask covers of another image.",
		Outputs:     nodes.Outputs("MODEL"), Uses: nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *ZImageFunControlnet) Run(*nodes.Context) (nodes.Result, error) {
	if n.Image == nil && n.Inpaint == nil {
		return nodes.Result{}, nodes.Errorf("ValueError", "patching a model: neither image nor inpaint_image is connected: connect one")
	}
	mask, err := kept(n.Mask)
	if err != nil {
		return nodes.Result{}, err
	}
	return attached(n.Model, n.Patch, engine.PatchOptions{VAE: n.VAE, Image: n.Image, Inpaint: n.Inpaint, Mask: mask, Strength: n.Strength, End: 1})
}

// USOStyleReference gives Flux.1 the style of an image.
type USOStyleReference struct {
	Model  *engine.Model      `in:"model" type:"MODEL"`
	Patch  *engine.ModelPatch `in:"model_patch" type:"MODEL_PATCH"`
	Vision any                `in:"clip_vision_output" type:"CLIP_VISION_OUTPUT"`
}

// Spec implements nodes.Node.
func (*USOStyleReference) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "USOStyleReference", DisplayName: "Apply USO Style Reference", Category: "model/patch/flux",
		Module: "comfy_extras.nodes_model_patch", Experimental: true,
		Description: "Gives Flux.1 the style of an image that SigLIP has encoded, with USO's projector.",
		Outputs:     nodes.Outputs("MODEL"), Uses: nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *USOStyleReference) Run(*nodes.Context) (nodes.Result, error) {
	v, ok := n.Vision.(family.ImageEncoding)
	if !ok {
		return nodes.Result{}, nodes.Errorf("AttributeError", "patching a model: clip_vision_output holds no encoded image")
	}
	return attached(n.Model, n.Patch, engine.PatchOptions{Vision: &v, Strength: 1, End: 1})
}

// AnimaLLLiteApply steers Anima by an image for a part of the run.
type AnimaLLLiteApply struct {
	Model    *engine.Model      `in:"model" type:"MODEL"`
	Patch    *engine.ModelPatch `in:"model_patch" type:"MODEL_PATCH"`
	Image    *tensor.Tensor     `in:"image" type:"IMAGE"`
	Strength float64            `in:"strength" default:"1.0" min:"-10.0" max:"10.0" step:"0.01"`
	Start    float64            `in:"start_percent" default:"0.0" min:"0.0" max:"1.0" step:"0.001"`
	End      float64            `in:"end_percent" default:"1.0" min:"0.0" max:"1.0" step:"0.001"`
	Mask     *tensor.Tensor     `in:"mask" type:"MASK" optional:"true"`
}

// Spec implements nodes.Node.
func (*AnimaLLLiteApply) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "AnimaLLLiteApply", DisplayName: "Apply Anima LLLite", Category: "model_patches/anima",
		Module: "comfy_extras.nodes_model_patch", Experimental: true,
		Description: "Steers Anima by an image with a ControlNet-LLLite; one that reads a mask fills what the mask covers.",
		Outputs:     nodes.Outputs("MODEL"), Uses: nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *AnimaLLLiteApply) Run(*nodes.Context) (nodes.Result, error) {
	return attached(n.Model, n.Patch, engine.PatchOptions{Image: n.Image, Mask: n.Mask, Strength: n.Strength, Start: n.Start, End: n.End})
}
