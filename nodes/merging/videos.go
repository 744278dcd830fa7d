package merging

import (
	"comfygo/engine"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&ModelMergeMochiPreview{})
	nodes.Register(&ModelMergeLTXV{})
	nodes.Register(&ModelMergeCosmos7B{})
	nodes.Register(&ModelMergeCosmos14B{})
	nodes.Register(&ModelMergeWAN21{})
}

// ModelMergeMochiPreview mixes two diffusion models of Mochi with a ratio for each block.
type ModelMergeMochiPreview struct {
	Model1         *engine.Model `in:"model1" type:"MODEL"`
	Model2         *engine.Model `in:"model2" type:"MODEL"`
	PosFrequencies float64       `in:"pos_frequencies." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TEmbedder      float64       `in:"t_embedder." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	T5Embedder     float64       `in:"t5_y_embedder." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	T5Projection   float64       `in:"t5_yproj." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	Blocks         [48]float64   `in:"blocks.#." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	FinalLayer     float64       `in:"final_layer." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*ModelMergeMochiPreview) Spec() nodes.Spec {
	return blockSpec("ModelMergeMochiPreview", "Mochi")
}

// Run implements nodes.Node.
func (n *ModelMergeMochiPreview) Run(ctx *nodes.Context) (nodes.Result, error) {
	return mergedByBlocks(ctx, n.Model1, n.Model2, n)
}

// ModelMergeLTXV mixes two diffusion models of LTX-Video with a ratio for each block.
type ModelMergeLTXV struct {
	Model1   *engine.Model `in:"model1" type:"MODEL"`
	Model2   *engine.Model `in:"model2" type:"MODEL"`
	Patchify float64       `in:"patchify_proj." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	AdaLN    float64       `in:"adaln_single." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	Caption  float64       `in:"caption_projection." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	Blocks   [28]float64   `in:"transformer_blocks.#." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	Table    float64       `in:"scale_shift_table" default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	Out      float64       `in:"proj_out." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*ModelMergeLTXV) Spec() nodes.Spec {
	return blockSpec("ModelMergeLTXV", "LTX-Video")
}

// Run implements nodes.Node.
func (n *ModelMergeLTXV) Run(ctx *nodes.Context) (nodes.Result, error) {
	return mergedByBlocks(ctx, n.Model1, n.Model2, n)
}

// ModelMergeCosmos7B mixes two diffusion models of Cosmos 1 7B with a ratio for each block.
type ModelMergeCosmos7B struct {
	Model1           *engine.Model `in:"model1" type:"MODEL"`
	Model2           *engine.Model `in:"model2" type:"MODEL"`
	PosEmbedder      float64       `in:"pos_embedder." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	ExtraPosEmbedder float64       `in:"extra_pos_embedder." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	XEmbedder        float64       `in:"x_embedder." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TEmbedder        float64       `in:"t_embedder." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	Norm             float64       `in:"affline_norm." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	Blocks           [28]float64   `in:"blocks.block#." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	FinalLayer       float64       `in:"final_layer." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*ModelMergeCosmos7B) Spec() nodes.Spec {
	return blockSpec("ModelMergeCosmos7B", "Cosmos 1 7B")
}

// Run implements nodes.Node.
func (n *ModelMergeCosmos7B) Run(ctx *nodes.Context) (nodes.Result, error) {
	return mergedByBlocks(ctx, n.Model1, n.Model2, n)
}

// ModelMergeCosmos14B mixes two diffusion models of Cosmos 1 14B with a ratio for each block.
type ModelMergeCosmos14B struct {
	Model1           *engine.Model `in:"model1" type:"MODEL"`
	Model2           *engine.Model `in:"model2" type:"MODEL"`
	PosEmbedder      float64       `in:"pos_embedder." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	ExtraPosEmbedder float64       `in:"extra_pos_embedder." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	XEmbedder        float64       `in:"x_embedder." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TEmbedder        float64       `in:"t_embedder." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	Norm             float64       `in:"affline_norm." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	Blocks           [36]float64   `in:"blocks.block#." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	FinalLayer       float64       `in:"final_layer." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*ModelMergeCosmos14B) Spec() nodes.Spec {
	return blockSpec("ModelMergeCosmos14B", "Cosmos 1 14B")
}

// Run implements nodes.Node.
func (n *ModelMergeCosmos14B) Run(ctx *nodes.Context) (nodes.Result, error) {
	return mergedByBlocks(ctx, n.Model1, n.Model2, n)
}

// ModelMergeWAN21 mixes two diffusion models of Wan 2.1 with a ratio for each block.
type ModelMergeWAN21 struct {
	Model1         *engine.Model `in:"model1" type:"MODEL"`
	Model2         *engine.Model `in:"model2" type:"MODEL"`
	Patch          float64       `in:"patch_embedding." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	Time           float64       `in:"time_embedding." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TimeProjection float64       `in:"time_projection." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	Text           float64       `in:"text_embedding." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	Image          float64       `in:"img_emb." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	Blocks         [40]float64   `in:"blocks.#." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	Head           float64       `in:"head." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*ModelMergeWAN21) Spec() nodes.Spec {
	return blockSpec("ModelMergeWAN2_1", "Wan 2.1")
}

// Run implements nodes.Node.
func (n *ModelMergeWAN21) Run(ctx *nodes.Context) (nodes.Result, error) {
	return mergedByBlocks(ctx, n.Model1, n.Model2, n)
}
