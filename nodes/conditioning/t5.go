package conditioning

import (
	"comfygo/engine"
	"comfygo/nodes"
)

func init() { nodes.Register(&T5TokenizerOptions{}) }

// T5TokenizerOptions changes how far the prompts of T5 are padded.
type T5TokenizerOptions struct {
	CLIP       *engine.CLIP `in:"clip" type:"CLIP"`
	MinPadding int          `in:"min_padding" default:"0" min:"0" max:"10000" step:"1"`
	MinLength  int          `in:"min_length" default:"0" min:"0" max:"10000" step:"1"`
}

// Spec implements nodes.Node.
func (*T5TokenizerOptions) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "T5TokenizerOptions", DisplayName: "T5 Tokenizer Options", Category: "model/conditioning",
		Module: "comfy_extras.nodes_cond", V3: true, Experimental: true, Outputs: nodes.Outputs("CLIP"), Uses: nodes.UsesDevice,
	}
}

// t5Keys are the encoders that the options are for, as upstream lists them; one of them has two keys here.
var t5Keys = []string{"t5xxl", "t5xxl_old", "pile_t5xl", "t5base", "mt5xl", "umt5xxl"}

// Run implements nodes.Node.
func (n *T5TokenizerOptions) Run(*nodes.Context) (nodes.Result, error) {
	if n.CLIP == nil {
		return nodes.Result{}, errNoCLIP()
	}
	return nodes.Out(n.CLIP.WithPadding(engine.Padding{Length: n.MinLength, Least: n.MinPadding}, t5Keys...)), nil
}
