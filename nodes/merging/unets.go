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
	Model1       *engine.Model `in:"model1" type:"MODEL"`
	Model2       *engine.Model `in:"model2" type:"MODEL"`
	TimeEmbed    float64       `in:"time_embed." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	LabelEmb     float64       `in:"label_emb." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	InputBlocks  [12]float64   `in:"input_blocks.#." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	MiddleBlock  [3]float64    `in:"middle_block.#." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	OutputBlocks [12]float64   `in:"output_blocks.#." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	Out          float64       `in:"out." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*ModelMergeSD1) Spec() nodes.Spec { return blockSpec("ModelMergeSD1", "Stable Diffusion 1.x") }

// Run implements nodes.Node.
func (n *ModelMergeSD1) Run(ctx *nodes.Context) (nodes.Result, error) {
	return mergedByBlocks(ctx, n.Model1, n.Model2, n)
}

// ModelMergeSD2 mixes two diffusion models of Stable Diffusion 2.x with a ratio for each block.
type ModelMergeSD2 struct{ ModelMergeSD1 }

// Spec implements nodes.Node.
func (*ModelMergeSD2) Spec() nodes.Spec { return blockSpec("ModelMergeSD2", "Stable Diffusion 2.x") }

// Run implements nodes.Node.
func (n *ModelMergeSD2) Run(ctx *nodes.Context) (nodes.Result, error) {
	return mergedByBlocks(ctx, n.Model1, n.Model2, &n.ModelMergeSD1)
}

// ModelMergeSDXL mixes two diffusion models of Stable Diffusion XL with a ratio for each block.
type ModelMergeSDXL struct {
	Model1       *engine.Model `in:"model1" type:"MODEL"`
	Model2       *engine.Model `in:"model2" type:"MODEL"`
	TimeEmbed    float64       `in:"time_embed." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	LabelEmb     float64       `in:"label_emb." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	InputBlocks  [9]float64    `in:"input_blocks.#" default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	MiddleBlock  [3]float64    `in:"middle_block.#" default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	OutputBlocks [9]float64    `in:"output_blocks.#" default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	Out          float64       `in:"out." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*ModelMergeSDXL) Spec() nodes.Spec { return blockSpec("ModelMergeSDXL", "Stable Diffusion XL") }

// Run implements nodes.Node.
func (n *ModelMergeSDXL) Run(ctx *nodes.Context) (nodes.Result, error) {
	return mergedByBlocks(ctx, n.Model1, n.Model2, n)
}
