package merging

import (
	"comfygo/engine"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&ModelMergeSD1{})
	nodes.Register(&ModelMergeSD2{})
	nodes.Register(&ModelMergeSDXL{})
}

// ModelMergeSD1 mixes two diffusion models of Stable Diffusion 1.x with a ratio for each block.
type ModelMergeSD1 struct {
	Model1         *engine.Model `in:"model1" type:"MODEL"`
	Model2         *engine.Model `in:"model2" type:"MODEL"`
	TimeEmbed      float64       `in:"time_embed." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	LabelEmb       float64       `in:"label_emb." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	InputBlocks0   float64       `in:"input_blocks.0." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	InputBlocks1   float64       `in:"input_blocks.1." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	InputBlocks2   float64       `in:"input_blocks.2." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	InputBlocks3   float64       `in:"input_blocks.3." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	InputBlocks4   float64       `in:"input_blocks.4." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	InputBlocks5   float64       `in:"input_blocks.5." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	InputBlocks6   float64       `in:"input_blocks.6." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	InputBlocks7   float64       `in:"input_blocks.7." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	InputBlocks8   float64       `in:"input_blocks.8." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	InputBlocks9   float64       `in:"input_blocks.9." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	InputBlocks10  float64       `in:"input_blocks.10." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	InputBlocks11  float64       `in:"input_blocks.11." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	MiddleBlock0   float64       `in:"middle_block.0." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	MiddleBlock1   float64       `in:"middle_block.1." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	MiddleBlock2   float64       `in:"middle_block.2." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	OutputBlocks0  float64       `in:"output_blocks.0." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	OutputBlocks1  float64       `in:"output_blocks.1." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	OutputBlocks2  float64       `in:"output_blocks.2." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	OutputBlocks3  float64       `in:"output_blocks.3." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	OutputBlocks4  float64       `in:"output_blocks.4." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	OutputBlocks5  float64       `in:"output_blocks.5." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	OutputBlocks6  float64       `in:"output_blocks.6." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	OutputBlocks7  float64       `in:"output_blocks.7." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	OutputBlocks8  float64       `in:"output_blocks.8." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	OutputBlocks9  float64       `in:"output_blocks.9." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	OutputBlocks10 float64       `in:"output_blocks.10." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	OutputBlocks11 float64       `in:"output_blocks.11." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	Out            float64       `in:"out." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*ModelMergeSD1) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ModelMergeSD1", Category: "model/merging/model specific",
		Module:      "comfy_extras.nodes_model_merging_model_specific",
		Description: "Mixes two diffusion models of Stable Diffusion 1.x with the share of the first for each block.",
		Outputs:     nodes.Outputs("MODEL"),
		Uses:        nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *ModelMergeSD1) Run(ctx *nodes.Context) (nodes.Result, error) {
	return mergedByBlocks(ctx, n.Model1, n.Model2, n)
}

// ModelMergeSD2 mixes two diffusion models of Stable Diffusion 2.x with a ratio for each block.
type ModelMergeSD2 struct {
	Model1         *engine.Model `in:"model1" type:"MODEL"`
	Model2         *engine.Model `in:"model2" type:"MODEL"`
	TimeEmbed      float64       `in:"time_embed." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	LabelEmb       float64       `in:"label_emb." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	InputBlocks0   float64       `in:"input_blocks.0." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	InputBlocks1   float64       `in:"input_blocks.1." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	InputBlocks2   float64       `in:"input_blocks.2." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	InputBlocks3   float64       `in:"input_blocks.3." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	InputBlocks4   float64       `in:"input_blocks.4." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	InputBlocks5   float64       `in:"input_blocks.5." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	InputBlocks6   float64       `in:"input_blocks.6." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	InputBlocks7   float64       `in:"input_blocks.7." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	InputBlocks8   float64       `in:"input_blocks.8." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	InputBlocks9   float64       `in:"input_blocks.9." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	InputBlocks10  float64       `in:"input_blocks.10." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	InputBlocks11  float64       `in:"input_blocks.11." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	MiddleBlock0   float64       `in:"middle_block.0." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	MiddleBlock1   float64       `in:"middle_block.1." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	MiddleBlock2   float64       `in:"middle_block.2." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	OutputBlocks0  float64       `in:"output_blocks.0." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	OutputBlocks1  float64       `in:"output_blocks.1." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	OutputBlocks2  float64       `in:"output_blocks.2." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	OutputBlocks3  float64       `in:"output_blocks.3." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	OutputBlocks4  float64       `in:"output_blocks.4." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	OutputBlocks5  float64       `in:"output_blocks.5." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	OutputBlocks6  float64       `in:"output_blocks.6." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	OutputBlocks7  float64       `in:"output_blocks.7." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	OutputBlocks8  float64       `in:"output_blocks.8." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	OutputBlocks9  float64       `in:"output_blocks.9." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	OutputBlocks10 float64       `in:"output_blocks.10." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	OutputBlocks11 float64       `in:"output_blocks.11." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	Out            float64       `in:"out." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*ModelMergeSD2) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ModelMergeSD2", Category: "model/merging/model specific",
		Module:      "comfy_extras.nodes_model_merging_model_specific",
		Description: "Mixes two diffusion models of Stable Diffusion 2.x with the share of the first for each block.",
		Outputs:     nodes.Outputs("MODEL"),
		Uses:        nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *ModelMergeSD2) Run(ctx *nodes.Context) (nodes.Result, error) {
	return mergedByBlocks(ctx, n.Model1, n.Model2, n)
}

// ModelMergeSDXL mixes two diffusion models of Stable Diffusion XL with a ratio for each block.
type ModelMergeSDXL struct {
	Model1        *engine.Model `in:"model1" type:"MODEL"`
	Model2        *engine.Model `in:"model2" type:"MODEL"`
	TimeEmbed     float64       `in:"time_embed." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	LabelEmb      float64       `in:"label_emb." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	InputBlocks0  float64       `in:"input_blocks.0" default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	InputBlocks1  float64       `in:"input_blocks.1" default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	InputBlocks2  float64       `in:"input_blocks.2" default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	InputBlocks3  float64       `in:"input_blocks.3" default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	InputBlocks4  float64       `in:"input_blocks.4" default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	InputBlocks5  float64       `in:"input_blocks.5" default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	InputBlocks6  float64       `in:"input_blocks.6" default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	InputBlocks7  float64       `in:"input_blocks.7" default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	InputBlocks8  float64       `in:"input_blocks.8" default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	MiddleBlock0  float64       `in:"middle_block.0" default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	MiddleBlock1  float64       `in:"middle_block.1" default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	MiddleBlock2  float64       `in:"middle_block.2" default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	OutputBlocks0 float64       `in:"output_blocks.0" default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	OutputBlocks1 float64       `in:"output_blocks.1" default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	OutputBlocks2 float64       `in:"output_blocks.2" default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	OutputBlocks3 float64       `in:"output_blocks.3" default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	OutputBlocks4 float64       `in:"output_blocks.4" default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	OutputBlocks5 float64       `in:"output_blocks.5" default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	OutputBlocks6 float64       `in:"output_blocks.6" default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	OutputBlocks7 float64       `in:"output_blocks.7" default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	OutputBlocks8 float64       `in:"output_blocks.8" default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	Out           float64       `in:"out." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*ModelMergeSDXL) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ModelMergeSDXL", Category: "model/merging/model specific",
		Module:      "comfy_extras.nodes_model_merging_model_specific",
		Description: "Mixes two diffusion models of Stable Diffusion XL with the share of the first for each block.",
		Outputs:     nodes.Outputs("MODEL"),
		Uses:        nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *ModelMergeSDXL) Run(ctx *nodes.Context) (nodes.Result, error) {
	return mergedByBlocks(ctx, n.Model1, n.Model2, n)
}
