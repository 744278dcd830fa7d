package loaders

import (
	"comfygo/engine"
	"comfygo/engine/weights"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&LoraLoader{})
	nodes.Register(&LoraLoaderModelOnly{})
}

// LoraLoader applies a LoRA file to a diffusion model and its text encoders.
type LoraLoader struct {
	Model         *engine.Model `in:"model" type:"MODEL" tooltip:"Diffusion model to apply the LoRA to."`
	CLIP          *engine.CLIP  `in:"clip" type:"CLIP" tooltip:"Text encoders to apply the LoRA to."`
	Name          string        `in:"lora_name" files:"loras" tooltip:"LoRA file, from the folder models/loras."`
	StrengthModel float64       `in:"strength_model" default:"1.0" min:"-100.0" max:"100.0" step:"0.01" tooltip:"Strength of the changes to the diffusion model. Negative values invert them."`
	StrengthCLIP  float64       `in:"strength_clip" default:"1.0" min:"-100.0" max:"100.0" step:"0.01" tooltip:"Strength of the changes to the text encoders. Negative values invert them."`
}

// Spec implements nodes.Node.
func (*LoraLoader) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LoraLoader", DisplayName: "Load LoRA (Model and CLIP)", Category: "model/loaders", EssentialsCategory: "Image Generation",
		Description:   "Applies a LoRA to a diffusion model and its text encoders. Several can be chained; changing a strength reloads nothing.",
		SearchAliases: []string{"lora", "load lora", "apply lora", "lora loader", "lora model"},
		Outputs: []nodes.Output{
			{Type: "MODEL", Tooltip: "The diffusion model with the LoRA."},
			{Type: "CLIP", Tooltip: "The text encoders with the LoRA."},
		},
		Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node. At strengths of zero the inputs pass through and the file is not read.
func (n *LoraLoader) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.StrengthModel == 0 && n.StrengthCLIP == 0 {
		return nodes.Out(orNone(n.Model), orNone(n.CLIP)), nil
	}
	m, c, err := applyLoRA(ctx, n.Name, n.Model, n.CLIP, n.StrengthModel, n.StrengthCLIP)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(orNone(m), orNone(c)), nil
}

// LoraLoaderModelOnly applies a LoRA file to a diffusion model.
type LoraLoaderModelOnly struct {
	Model         *engine.Model `in:"model" type:"MODEL"`
	Name          string        `in:"lora_name" files:"loras"`
	StrengthModel float64       `in:"strength_model" default:"1.0" min:"-100.0" max:"100.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*LoraLoaderModelOnly) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LoraLoaderModelOnly", DisplayName: "Load LoRA", Category: "model/loaders", EssentialsCategory: "Image Generation",
		Description: "Applies a LoRA to a diffusion model and leaves the text encoders as they are. Several can be chained.",
		Outputs:     nodes.Outputs("MODEL"), Uses: nodes.UsesDevice,
		SearchAliases: []string{"lora", "load lora", "apply lora", "lora loader", "lora model"},
	}
}

// Run implements nodes.Node.
func (n *LoraLoaderModelOnly) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.StrengthModel == 0 {
		return nodes.Out(orNone(n.Model)), nil
	}
	m, _, err := applyLoRA(ctx, n.Name, n.Model, nil, n.StrengthModel, 0)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(orNone(m)), nil
}

func applyLoRA(ctx *nodes.Context, name string, m *engine.Model, c *engine.CLIP, strengthModel, strengthCLIP float64) (*engine.Model, *engine.CLIP, error) {
	f, err := adapterFile(ctx, name, m, c)
	if err != nil {
		return nil, nil, err
	}
	return ctx.Engine.ApplyAdapters(ctx, f, m, c, engine.LoRAOptions{StrengthModel: strengthModel, StrengthCLIP: strengthCLIP})
}

// adapterFile opens a file of the folder loras for models that are there.
func adapterFile(ctx *nodes.Context, name string, m *engine.Model, c *engine.CLIP) (weights.Source, error) {
	if m == nil && c == nil {
		return nil, nodes.Errorf("RuntimeError", "applying a LoRA: neither a diffusion model nor text encoders are connected")
	}
	path, err := find(ctx, "loras", name)
	if err != nil {
		return nil, err
	}
	return ctx.Engine.AdapterFile(path)
}
