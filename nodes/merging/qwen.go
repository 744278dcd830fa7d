package merging

import (
	"comfygo/engine"
	"comfygo/nodes"
)

func init() { nodes.Register(&ModelMergeQwenImage{}) }

// ModelMergeQwenImage mixes two diffusion models of Qwen-Image with a ratio for each block.
type ModelMergeQwenImage struct {
	Model1              *engine.Model `in:"model1" type:"MODEL"`
	Model2              *engine.Model `in:"model2" type:"MODEL"`
	PosEmbeds           float64       `in:"pos_embeds." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	ImgIn               float64       `in:"img_in." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TxtNorm             float64       `in:"txt_norm." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TxtIn               float64       `in:"txt_in." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TimeTextEmbed       float64       `in:"time_text_embed." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks0  float64       `in:"transformer_blocks.0." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks1  float64       `in:"transformer_blocks.1." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks2  float64       `in:"transformer_blocks.2." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks3  float64       `in:"transformer_blocks.3." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks4  float64       `in:"transformer_blocks.4." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks5  float64       `in:"transformer_blocks.5." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks6  float64       `in:"transformer_blocks.6." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks7  float64       `in:"transformer_blocks.7." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks8  float64       `in:"transformer_blocks.8." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks9  float64       `in:"transformer_blocks.9." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks10 float64       `in:"transformer_blocks.10." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks11 float64       `in:"transformer_blocks.11." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks12 float64       `in:"transformer_blocks.12." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks13 float64       `in:"transformer_blocks.13." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks14 float64       `in:"transformer_blocks.14." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks15 float64       `in:"transformer_blocks.15." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks16 float64       `in:"transformer_blocks.16." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks17 float64       `in:"transformer_blocks.17." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks18 float64       `in:"transformer_blocks.18." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks19 float64       `in:"transformer_blocks.19." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks20 float64       `in:"transformer_blocks.20." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks21 float64       `in:"transformer_blocks.21." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks22 float64       `in:"transformer_blocks.22." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks23 float64       `in:"transformer_blocks.23." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks24 float64       `in:"transformer_blocks.24." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks25 float64       `in:"transformer_blocks.25." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks26 float64       `in:"transformer_blocks.26." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks27 float64       `in:"transformer_blocks.27." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks28 float64       `in:"transformer_blocks.28." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks29 float64       `in:"transformer_blocks.29." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks30 float64       `in:"transformer_blocks.30." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks31 float64       `in:"transformer_blocks.31." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks32 float64       `in:"transformer_blocks.32." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks33 float64       `in:"transformer_blocks.33." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks34 float64       `in:"transformer_blocks.34." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks35 float64       `in:"transformer_blocks.35." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks36 float64       `in:"transformer_blocks.36." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks37 float64       `in:"transformer_blocks.37." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks38 float64       `in:"transformer_blocks.38." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks39 float64       `in:"transformer_blocks.39." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks40 float64       `in:"transformer_blocks.40." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks41 float64       `in:"transformer_blocks.41." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks42 float64       `in:"transformer_blocks.42." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks43 float64       `in:"transformer_blocks.43." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks44 float64       `in:"transformer_blocks.44." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks45 float64       `in:"transformer_blocks.45." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks46 float64       `in:"transformer_blocks.46." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks47 float64       `in:"transformer_blocks.47." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks48 float64       `in:"transformer_blocks.48." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks49 float64       `in:"transformer_blocks.49." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks50 float64       `in:"transformer_blocks.50." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks51 float64       `in:"transformer_blocks.51." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks52 float64       `in:"transformer_blocks.52." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks53 float64       `in:"transformer_blocks.53." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks54 float64       `in:"transformer_blocks.54." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks55 float64       `in:"transformer_blocks.55." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks56 float64       `in:"transformer_blocks.56." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks57 float64       `in:"transformer_blocks.57." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks58 float64       `in:"transformer_blocks.58." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	TransformerBlocks59 float64       `in:"transformer_blocks.59." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	ProjOut             float64       `in:"proj_out." default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*ModelMergeQwenImage) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ModelMergeQwenImage", Category: "model/merging/model specific",
		Module:      "comfy_extras.nodes_model_merging_model_specific",
		Description: "Mixes two diffusion models of Qwen-Image with the share of the first for each block.",
		Outputs:     nodes.Outputs("MODEL"),
		Uses:        nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *ModelMergeQwenImage) Run(ctx *nodes.Context) (nodes.Result, error) {
	return mergedByBlocks(ctx, n.Model1, n.Model2, n)
}
