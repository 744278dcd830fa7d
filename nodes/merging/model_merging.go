package merging

import (
	"comfygo/engine"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&ModelMergeSimple{})
	nodes.Register(&ModelMergeBlocks{})
	nodes.Register(&ModelMergeSubtract{})
	nodes.Register(&ModelMergeAdd{})
	nodes.Register(&CLIPMergeSimple{})
	nodes.Register(&CLIPMergeSubtract{})
	nodes.Register(&CLIPMergeAdd{})
}

// ModelMergeSimple mixes two diffusion models.
type ModelMergeSimple struct {
	Model1 *engine.Model `in:"model1" type:"MODEL"`
	Model2 *engine.Model `in:"model2" type:"MODEL"`
	Ratio  float64       `in:"ratio" default:"1.0" min:"0.0" max:"1.0" step:"0.01" tooltip:"Share of the first: 1 keeps it as it is, 0 gives the second."`
}

// Spec implements nodes.Node.
func (*ModelMergeSimple) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ModelMergeSimple", Category: "model/merging",
		Module:      "comfy_extras.nodes_model_merging",
		Description: "Mixes the weights of two diffusion models at one ratio.",
		Outputs:     nodes.Outputs("MODEL"),
		Uses:        nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *ModelMergeSimple) Run(ctx *nodes.Context) (nodes.Result, error) {
	return merged(ctx, n.Model1, n.Model2, func(string) (float64, float64) { return n.Ratio, 1 - n.Ratio })
}

// ModelMergeBlocks mixes two diffusion models with a ratio for each half of the U-Net.
type ModelMergeBlocks struct {
	Model1 *engine.Model `in:"model1" type:"MODEL"`
	Model2 *engine.Model `in:"model2" type:"MODEL"`
	Input  float64       `in:"input" default:"1.0" min:"0.0" max:"1.0" step:"0.01" tooltip:"Share of the first model in the input blocks."`
	Middle float64       `in:"middle" default:"1.0" min:"0.0" max:"1.0" step:"0.01" tooltip:"Share of the first model in the middle block."`
	Out    float64       `in:"out" default:"1.0" min:"0.0" max:"1.0" step:"0.01" tooltip:"Share of the first model in the output blocks and the last layers."`
}

// Spec implements nodes.Node.
func (*ModelMergeBlocks) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ModelMergeBlocks", Category: "model/merging",
		Module:      "comfy_extras.nodes_model_merging",
		Description: "Mixes two diffusion models with a ratio for the input, middle and output blocks; the ratio of the input blocks is also that of all other weights.",
		Outputs:     nodes.Outputs("MODEL"),
		Uses:        nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *ModelMergeBlocks) Run(ctx *nodes.Context) (nodes.Result, error) {
	return mergedByBlocks(ctx, n.Model1, n.Model2, n)
}

// ModelMergeSubtract subtracts one diffusion model from another.
type ModelMergeSubtract struct {
	Model1     *engine.Model `in:"model1" type:"MODEL"`
	Model2     *engine.Model `in:"model2" type:"MODEL"`
	Multiplier float64       `in:"multiplier" default:"1.0" min:"-10.0" max:"10.0" step:"0.01" tooltip:"Factor on the difference."`
}

// Spec implements nodes.Node.
func (*ModelMergeSubtract) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ModelMergeSubtract", Category: "model/merging",
		Module:      "comfy_extras.nodes_model_merging",
		Description: "Subtracts the weights of the second diffusion model from those of the first.",
		Outputs:     nodes.Outputs("MODEL"),
		Uses:        nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *ModelMergeSubtract) Run(ctx *nodes.Context) (nodes.Result, error) {
	return merged(ctx, n.Model1, n.Model2, func(string) (float64, float64) { return n.Multiplier, -n.Multiplier })
}

// ModelMergeAdd adds two diffusion models.
type ModelMergeAdd struct {
	Model1 *engine.Model `in:"model1" type:"MODEL"`
	Model2 *engine.Model `in:"model2" type:"MODEL"`
}

// Spec implements nodes.Node.
func (*ModelMergeAdd) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ModelMergeAdd", Category: "model/merging",
		Module:      "comfy_extras.nodes_model_merging",
		Description: "Adds the weights of two diffusion models, such as a difference to another base.",
		Outputs:     nodes.Outputs("MODEL"),
		Uses:        nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *ModelMergeAdd) Run(ctx *nodes.Context) (nodes.Result, error) {
	return merged(ctx, n.Model1, n.Model2, func(string) (float64, float64) { return 1, 1 })
}

// CLIPMergeSimple mixes two sets of text encoders.
type CLIPMergeSimple struct {
	CLIP1 *engine.CLIP `in:"clip1" type:"CLIP"`
	CLIP2 *engine.CLIP `in:"clip2" type:"CLIP"`
	Ratio float64      `in:"ratio" default:"1.0" min:"0.0" max:"1.0" step:"0.01" tooltip:"Share of the first: 1 keeps it as it is, 0 gives the second."`
}

// Spec implements nodes.Node.
func (*CLIPMergeSimple) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CLIPMergeSimple", Category: "model/merging",
		Module:      "comfy_extras.nodes_model_merging",
		Description: "Mixes the weights of two sets of text encoders at one ratio.",
		Outputs:     nodes.Outputs("CLIP"),
		Uses:        nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *CLIPMergeSimple) Run(ctx *nodes.Context) (nodes.Result, error) {
	return mergedCLIP(ctx, n.CLIP1, n.CLIP2, n.Ratio, 1-n.Ratio)
}

// CLIPMergeSubtract subtracts text encoders from others.
type CLIPMergeSubtract struct {
	CLIP1      *engine.CLIP `in:"clip1" type:"CLIP"`
	CLIP2      *engine.CLIP `in:"clip2" type:"CLIP"`
	Multiplier float64      `in:"multiplier" default:"1.0" min:"-10.0" max:"10.0" step:"0.01" tooltip:"Factor on the difference."`
}

// Spec implements nodes.Node.
func (*CLIPMergeSubtract) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CLIPMergeSubtract", Category: "model/merging",
		Module:        "comfy_extras.nodes_model_merging",
		Description:   "Subtracts the weights of the second text encoders from those of the first.",
		SearchAliases: []string{"clip difference", "text encoder subtract"},
		Outputs:       nodes.Outputs("CLIP"),
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *CLIPMergeSubtract) Run(ctx *nodes.Context) (nodes.Result, error) {
	return mergedCLIP(ctx, n.CLIP1, n.CLIP2, n.Multiplier, -n.Multiplier)
}

// CLIPMergeAdd adds two sets of text encoders.
type CLIPMergeAdd struct {
	CLIP1 *engine.CLIP `in:"clip1" type:"CLIP"`
	CLIP2 *engine.CLIP `in:"clip2" type:"CLIP"`
}

// Spec implements nodes.Node.
func (*CLIPMergeAdd) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CLIPMergeAdd", Category: "model/merging",
		Module:        "comfy_extras.nodes_model_merging",
		Description:   "Adds the weights of two sets of text encoders, such as a difference to another base.",
		SearchAliases: []string{"combine clip"},
		Outputs:       nodes.Outputs("CLIP"),
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *CLIPMergeAdd) Run(ctx *nodes.Context) (nodes.Result, error) {
	return mergedCLIP(ctx, n.CLIP1, n.CLIP2, 1, 1)
}
