package conditioning

import (
	"comfygo/engine"
	"comfygo/engine/family"
	"comfygo/nodes"
)

func init() { nodes.Register(&StyleModelApply{}) }

// StyleModelApply appends the tokens that a style model makes of an image to a text encoding.
type StyleModelApply struct {
	Conditioning engine.Conditioning  `in:"conditioning" type:"CONDITIONING"`
	Style        *engine.Style        `in:"style_model" type:"STYLE_MODEL"`
	Vision       family.ImageEncoding `in:"clip_vision_output" type:"CLIP_VISION_OUTPUT"`
	Strength     float64              `in:"strength" default:"1.0" min:"0.0" max:"10.0" step:"0.001" tooltip:"Strength of the image."`
	Type         string               `in:"strength_type" options:"multiply|attn_bias"`
}

// Spec implements nodes.Node.
func (*StyleModelApply) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "StyleModelApply", DisplayName: "Apply Style Model", Category: "model/conditioning",
		Description: "Has an image act as a part of the prompt.", SearchAliases: []string{"style transfer"},
		Outputs: nodes.Outputs("CONDITIONING"), Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *StyleModelApply) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.Style == nil || n.Vision.Last == nil {
		return nodes.Result{}, nodes.Errorf("AttributeError", "applying a style model: style_model or clip_vision_output is missing")
	}
	out, err := n.Style.Apply(ctx, n.Conditioning, n.Vision, n.Strength, n.Type == "attn_bias")
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(out), nil
}
