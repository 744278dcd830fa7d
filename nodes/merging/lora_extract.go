package merging

import (
	"io"

	"comfygo/engine"
	"comfygo/nodes"
)

func init() { nodes.Register(&LoraSave{}) }

// LoraSave writes the difference of two models as a LoRA.
type LoraSave struct {
	Prefix string        `in:"filename_prefix" default:"loras/ComfyUI_extracted_lora" tooltip:"How the name of the file begins; it may hold subfolders of the output folder."`
	Rank   int           `in:"rank" default:"8" min:"1" max:"4096" step:"1" advanced:"true" tooltip:"Rank of the LoRA: higher ones keep more of the difference in a larger file."`
	Type   string        `in:"lora_type" options:"standard|full_diff" advanced:"true" tooltip:"Low-rank factors, or the whole difference."`
	Biases bool          `in:"bias_diff" default:"true" advanced:"true" tooltip:"Stores the differences of biases and norms, too."`
	Model  *engine.Model `in:"model_diff" type:"MODEL" optional:"true" tooltip:"Difference of two diffusion models, as ModelMergeSubtract gives it."`
	CLIP   *engine.CLIP  `in:"text_encoder_diff" type:"CLIP" optional:"true" tooltip:"Difference of two text encoders, as CLIPMergeSubtract gives it."`
}

// Spec implements nodes.Node.
func (*LoraSave) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LoraSave", DisplayName: "Extract and Save Lora", Category: "experimental", Module: "comfy_extras.nodes_lora_extract", V3: true,
		Description: "Writes the difference of two models as a LoRA into the output folder.", SearchAliases: []string{"export lora"},
		OutputNode: true, Experimental: true, Uses: nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *LoraSave) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.Model == nil && n.CLIP == nil {
		return nodes.Out(), nil
	}
	s, err := savePath(ctx, n.Prefix)
	if err != nil {
		return nodes.Result{}, err
	}
	t, err := ctx.Engine.ExtractLoRA(ctx, n.Model, n.CLIP, engine.Extraction{
		Rank: n.Rank, Whole: n.Type == "full_diff", Biases: n.Biases,
		Progress: func(done, all int) { ctx.Progress(float64(done), float64(all)) },
	})
	if err != nil {
		return nodes.Result{}, err
	}
	_, err = s.Write(0, ".safetensors", func(w io.Writer) error { return t.Write(ctx, w, nil) })
	return nodes.Out(), err
}
