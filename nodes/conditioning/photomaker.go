package conditioning

import (
	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

func init() { nodes.Register(&PhotoMakerEncode{}) }

// PhotoMakerEncode encodes a text with the person of an image.
type PhotoMakerEncode struct {
	Model *engine.Identity `in:"photomaker" type:"PHOTOMAKER"`
	Image *tensor.Tensor   `in:"image" type:"IMAGE" tooltip:"Image of the person; the first of several is read."`
	CLIP  *engine.CLIP     `in:"clip" type:"CLIP"`
	Text  string           `in:"text" default:"photograph of photomaker" multiline:"true" dynamicPrompts:"true" tooltip:"Text with the word photomaker in the place of the person."`
}

// Spec implements nodes.Node.
func (*PhotoMakerEncode) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "PhotoMakerEncode", DisplayName: "PhotoMaker Encode", Category: "model/conditioning/photomaker",
		Module: "comfy_extras.nodes_photomaker", V3: true, Experimental: true,
		Description: "Encodes a text in which the word photomaker stands for the person of an image.",
		Outputs:     nodes.Outputs("CONDITIONING"), Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *PhotoMakerEncode) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.CLIP == nil || n.Model == nil {
		return nodes.Result{}, nodes.Errorf("AttributeError", "encoding with PhotoMaker: clip or photomaker is missing")
	}
	out, err := n.Model.Encode(ctx, n.CLIP, n.Image, n.Text)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(out), nil
}
