package merging

import (
	"comfygo/engine"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&ModelMergeSD32B{})
	nodes.Register(&ModelMergeAuraflow{})
	nodes.Register(&ModelMergeFlux1{})
	nodes.Register(&ModelMergeSD35Large{})
	nodes.Register(&ModelMergeQwenImage{})
	nodes.Register(&ModelMergeKrea2{})
	nodes.Register(&ModelMergeCosmosPredict22B{})
	nodes.Register(&ModelMergeCosmosPredict214B{})
}

// ModelMergeSD32B mixes two diffusion models of Stable Diffusion 3 2B with a ratio for each block.
type ModelMergeSD32B struct {
	Model1          *engine.Model `in:"model1" type:"MODEL"`
	Model2          *engine.Model `in:"model2" type:"MODEL"`
	PosEmbed        float64       `in:"pos_embed." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	XEmbedder       float64       `in:"x_embedder." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	ContextEmbedder float64       `in:"context_embedder." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	YEmbedder       float64       `in:"y_embedder." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TEmbedder       float64       `in:"t_embedder." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	JointBlocks     [24]float64   `in:"joint_blocks.#." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	FinalLayer      float64       `in:"final_layer." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*ModelMergeSD32B) Spec() nodes.Spec {
	return blockSpec("ModelMergeSD3_2B", "Stable Diffusion 3 2B")
}

// Run implements nodes.Node.
func (n *ModelMergeSD32B) Run(ctx *nodes.Context) (nodes.Result, error) {
	return mergedByBlocks(ctx, n.Model1, n.Model2, n)
}

// ModelMergeAuraflow mixes two diffusion models of AuraFlow with a ratio for each block.
type ModelMergeAuraflow struct {
	Model1             *engine.Model `in:"model1" type:"MODEL"`
	Model2             *engine.Model `in:"model2" type:"MODEL"`
	InitXLinear        float64       `in:"init_x_linear." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	PositionalEncoding float64       `in:"positional_encoding" default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	CondSeqLinear      float64       `in:"cond_seq_linear." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	RegisterTokens     float64       `in:"register_tokens" default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TEmbedder          float64       `in:"t_embedder." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	DoubleLayers       [4]float64    `in:"double_layers.#." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	SingleLayers       [32]float64   `in:"single_layers.#." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	ModF               float64       `in:"modF." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	FinalLinear        float64       `in:"final_linear." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*ModelMergeAuraflow) Spec() nodes.Spec { return blockSpec("ModelMergeAuraflow", "AuraFlow") }

// Run implements nodes.Node.
func (n *ModelMergeAuraflow) Run(ctx *nodes.Context) (nodes.Result, error) {
	return mergedByBlocks(ctx, n.Model1, n.Model2, n)
}

// ModelMergeFlux1 mixes two diffusion models of Flux.1 with a ratio for each block.
type ModelMergeFlux1 struct {
	Model1       *engine.Model `in:"model1" type:"MODEL"`
	Model2       *engine.Model `in:"model2" type:"MODEL"`
	ImgIn        float64       `in:"img_in." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TimeIn       float64       `in:"time_in." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	GuidanceIn   float64       `in:"guidance_in" default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	VectorIn     float64       `in:"vector_in." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TxtIn        float64       `in:"txt_in." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	DoubleBlocks [19]float64   `in:"double_blocks.#." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	SingleBlocks [38]float64   `in:"single_blocks.#." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	FinalLayer   float64       `in:"final_layer." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*ModelMergeFlux1) Spec() nodes.Spec { return blockSpec("ModelMergeFlux1", "Flux.1") }

// Run implements nodes.Node.
func (n *ModelMergeFlux1) Run(ctx *nodes.Context) (nodes.Result, error) {
	return mergedByBlocks(ctx, n.Model1, n.Model2, n)
}

// ModelMergeSD35Large mixes two diffusion models of Stable Diffusion 3.5 Large with a ratio for each block.
type ModelMergeSD35Large struct {
	Model1          *engine.Model `in:"model1" type:"MODEL"`
	Model2          *engine.Model `in:"model2" type:"MODEL"`
	PosEmbed        float64       `in:"pos_embed." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	XEmbedder       float64       `in:"x_embedder." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	ContextEmbedder float64       `in:"context_embedder." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	YEmbedder       float64       `in:"y_embedder." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TEmbedder       float64       `in:"t_embedder." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	JointBlocks     [38]float64   `in:"joint_blocks.#." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	FinalLayer      float64       `in:"final_layer." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*ModelMergeSD35Large) Spec() nodes.Spec {
	return blockSpec("ModelMergeSD35_Large", "Stable Diffusion 3.5 Large")
}

// Run implements nodes.Node.
func (n *ModelMergeSD35Large) Run(ctx *nodes.Context) (nodes.Result, error) {
	return mergedByBlocks(ctx, n.Model1, n.Model2, n)
}

// ModelMergeQwenImage mixes two diffusion models of Qwen-Image with a ratio for each block.
type ModelMergeQwenImage struct {
	Model1            *engine.Model `in:"model1" type:"MODEL"`
	Model2            *engine.Model `in:"model2" type:"MODEL"`
	PosEmbeds         float64       `in:"pos_embeds." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	ImgIn             float64       `in:"img_in." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TxtNorm           float64       `in:"txt_norm." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TxtIn             float64       `in:"txt_in." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TimeTextEmbed     float64       `in:"time_text_embed." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks [60]float64   `in:"transformer_blocks.#." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	ProjOut           float64       `in:"proj_out." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*ModelMergeQwenImage) Spec() nodes.Spec { return blockSpec("ModelMergeQwenImage", "Qwen-Image") }

// Run implements nodes.Node.
func (n *ModelMergeQwenImage) Run(ctx *nodes.Context) (nodes.Result, error) {
	return mergedByBlocks(ctx, n.Model1, n.Model2, n)
}

// ModelMergeKrea2 mixes two diffusion models of Krea 2 with a ratio for each block.
type ModelMergeKrea2 struct {
	Model1          *engine.Model `in:"model1" type:"MODEL"`
	Model2          *engine.Model `in:"model2" type:"MODEL"`
	First           float64       `in:"first." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TMLP            float64       `in:"tmlp." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TxtMLP          float64       `in:"txtmlp." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TProj           float64       `in:"tproj." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	LayerwiseBlocks [2]float64    `in:"txtfusion.layerwise_blocks.#." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	Projector       float64       `in:"txtfusion.projector." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	RefinerBlocks   [2]float64    `in:"txtfusion.refiner_blocks.#." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	Blocks          [28]float64   `in:"blocks.#." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	Last            float64       `in:"last." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*ModelMergeKrea2) Spec() nodes.Spec { return blockSpec("ModelMergeKrea2", "Krea 2") }

// Run implements nodes.Node.
func (n *ModelMergeKrea2) Run(ctx *nodes.Context) (nodes.Result, error) {
	return mergedByBlocks(ctx, n.Model1, n.Model2, n)
}

// ModelMergeCosmosPredict22B mixes two diffusion models of Cosmos Predict2 2B with a ratio for each block.
type ModelMergeCosmosPredict22B struct {
	Model1         *engine.Model `in:"model1" type:"MODEL"`
	Model2         *engine.Model `in:"model2" type:"MODEL"`
	PosEmbedder    float64       `in:"pos_embedder." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	XEmbedder      float64       `in:"x_embedder." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TEmbedder      float64       `in:"t_embedder." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TEmbeddingNorm float64       `in:"t_embedding_norm." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	Blocks         [28]float64   `in:"blocks.#." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	FinalLayer     float64       `in:"final_layer." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*ModelMergeCosmosPredict22B) Spec() nodes.Spec {
	return blockSpec("ModelMergeCosmosPredict2_2B", "Cosmos Predict2 2B")
}

// Run implements nodes.Node.
func (n *ModelMergeCosmosPredict22B) Run(ctx *nodes.Context) (nodes.Result, error) {
	return mergedByBlocks(ctx, n.Model1, n.Model2, n)
}

// ModelMergeCosmosPredict214B mixes two diffusion models of Cosmos Predict2 14B with a ratio for each block.
type ModelMergeCosmosPredict214B struct {
	Model1         *engine.Model `in:"model1" type:"MODEL"`
	Model2         *engine.Model `in:"model2" type:"MODEL"`
	PosEmbedder    float64       `in:"pos_embedder." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	XEmbedder      float64       `in:"x_embedder." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TEmbedder      float64       `in:"t_embedder." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TEmbeddingNorm float64       `in:"t_embedding_norm." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	Blocks         [36]float64   `in:"blocks.#." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	FinalLayer     float64       `in:"final_layer." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*ModelMergeCosmosPredict214B) Spec() nodes.Spec {
	return blockSpec("ModelMergeCosmosPredict2_14B", "Cosmos Predict2 14B")
}

// Run implements nodes.Node.
func (n *ModelMergeCosmosPredict214B) Run(ctx *nodes.Context) (nodes.Result, error) {
	return mergedByBlocks(ctx, n.Model1, n.Model2, n)
}
