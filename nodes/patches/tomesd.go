package patches

import (
	"comfygo/engine"
	"comfygo/engine/patch"
	"comfygo/nodes"
)

func init() { nodes.Register(&TomePatchModel{}) }

// TomePatchModel merges similar positions of the latent in a U-Net's attention.
type TomePatchModel struct {
	Model *engine.Model `in:"model" type:"MODEL"`
	Ratio float64       `in:"ratio" default:"0.3" min:"0.0" max:"1.0" step:"0.01" tooltip:"Share of the latent's positions to merge."`
}

// Spec implements nodes.Node.
func (*TomePatchModel) Spec() nodes.Spec {
	return unetSpec("TomePatchModel", "comfy_extras.nodes_tomesd",
		"Merges similar positions of the latent before self-attention at the highest resolution, which is faster at a small loss of detail (arXiv 2303.17604).")
}

// Run implements nodes.Node.
func (n *TomePatchModel) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.Model != nil && n.Model.HasPatch(func(p patch.GraphPatch) bool { _, merges := p.(patch.MergeTokens); return merges }) {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "token merging: the model merges tokens already; take one TomePatchModel with a higher ratio")
	}
	return patched(ctx, n.Model, "token merging", patch.MergeTokens{Ratio: n.Ratio})
}
