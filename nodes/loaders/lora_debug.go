package loaders

import (
	"comfygo/engine"
	"comfygo/engine/weights"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&LoraLoaderBypass{})
	nodes.Register(&LoraLoaderBypassModelOnly{})
	nodes.Register(&LoraModelLoader{})
}

// LoraLoaderBypass applies a LoRA file to the outputs of the layers of a diffusion model and its text
// encoders.
type LoraLoaderBypass struct {
	Model         *engine.Model `in:"model" type:"MODEL" tooltip:"Diffusion model to apply the LoRA to."`
	CLIP          *engine.CLIP  `in:"clip" type:"CLIP" tooltip:"Text encoders to apply the LoRA to."`
	Name          string        `in:"lora_name" files:"loras" tooltip:"LoRA file, from the folder models/loras."`
	StrengthModel float64       `in:"strength_model" default:"1.0" min:"-100.0" max:"100.0" step:"0.01" tooltip:"Strength in the diffusion model. Negative values invert the changes."`
	StrengthCLIP  float64       `in:"strength_clip" default:"1.0" min:"-100.0" max:"100.0" step:"0.01" tooltip:"Strength in the text encoders. Negative values invert the changes."`
}

// Spec implements nodes.Node.
func (*LoraLoaderBypass) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LoraLoaderBypass", DisplayName: "Load LoRA (Bypass) (For debugging)", Category: "model/loaders", Module: "comfy_extras.nodes_lora_debug",
		Description: "Applies a LoRA to the outputs of layers rather than to their weights. LoRA, LoHa and LoKr give the same result as with Load LoRA; " +
			"DoRA's magnitudes are left out, OFT and BOFT count their strength once.",
		Outputs: []nodes.Output{
			{Type: "MODEL", Tooltip: "The diffusion model with the LoRA."},
			{Type: "CLIP", Tooltip: "The text encoders with the LoRA."},
		},
		Experimental: true, Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node. At strengths of zero the inputs pass through and the file is not read.
func (n *LoraLoaderBypass) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.StrengthModel == 0 && n.StrengthCLIP == 0 {
		return nodes.Out(orNone(n.Model), orNone(n.CLIP)), nil
	}
	m, c, err := applyBypass(ctx, n.Name, n.Model, n.CLIP, n.StrengthModel, n.StrengthCLIP)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(orNone(m), orNone(c)), nil
}

// LoraLoaderBypassModelOnly applies a LoRA file to the outputs of the layers of a diffusion model.
type LoraLoaderBypassModelOnly struct {
	Model         *engine.Model `in:"model" type:"MODEL"`
	Name          string        `in:"lora_name" files:"loras"`
	StrengthModel float64       `in:"strength_model" default:"1.0" min:"-100.0" max:"100.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*LoraLoaderBypassModelOnly) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LoraLoaderBypassModelOnly", DisplayName: "Load LoRA (Bypass, Model Only) (for debugging)", Category: "model/loaders",
		Module:      "comfy_extras.nodes_lora_debug",
		Description: "Applies a LoRA to the outputs of a diffusion model's layers and leaves the text encoders as they are.",
		Outputs:     nodes.Outputs("MODEL"), Experimental: true, Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *LoraLoaderBypassModelOnly) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.StrengthModel == 0 {
		return nodes.Out(orNone(n.Model)), nil
	}
	m, _, err := applyBypass(ctx, n.Name, n.Model, nil, n.StrengthModel, 0)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(orNone(m)), nil
}

func applyBypass(ctx *nodes.Context, name string, m *engine.Model, c *engine.CLIP, strengthModel, strengthCLIP float64) (*engine.Model, *engine.CLIP, error) {
	f, err := adapterFile(ctx, name, m, c)
	if err != nil {
		return nil, nil, err
	}
	return ctx.Engine.ApplyAdapters(ctx, f, m, c, engine.LoRAOptions{StrengthModel: strengthModel, StrengthCLIP: strengthCLIP, Output: true})
}

// LoraModelLoader applies a LoRA that comes over a link.
type LoraModelLoader struct {
	Model    *engine.Model  `in:"model" type:"MODEL" tooltip:"Diffusion model to apply the LoRA to."`
	LoRA     weights.Source `in:"lora" type:"LORA_MODEL" tooltip:"The LoRA's tensors."`
	Strength float64        `in:"strength_model" default:"1.0" min:"-100.0" max:"100.0" tooltip:"Strength in the diffusion model. Negative values invert the changes."`
	Bypass   bool           `in:"bypass" default:"false" tooltip:"Applies the LoRA to the outputs of layers rather than to their weights."`
}

// Spec implements nodes.Node.
func (*LoraModelLoader) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LoraModelLoader", DisplayName: "Load LoRA Model", Category: "model/loaders", Module: "comfy_extras.nodes_train", V3: true,
		Description:  "Applies a LoRA that another node made to a diffusion model.",
		Outputs:      []nodes.Output{{Type: "MODEL", Name: "model", Tooltip: "The diffusion model with the LoRA."}},
		Experimental: true, Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *LoraModelLoader) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.Strength == 0 {
		return nodes.Out(orNone(n.Model)), nil
	}
	if n.Model == nil || n.LoRA == nil {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "applying a LoRA: model or lora is missing")
	}
	m, _, err := ctx.Engine.ApplyAdapters(ctx, n.LoRA, n.Model, nil, engine.LoRAOptions{StrengthModel: n.Strength, Output: n.Bypass})
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(m), nil
}
