package conditioning

import (
	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

func init() { nodes.Register(&CLIPVisionEncode{}) }

// CLIPVisionEncode encodes images by an image encoder.
type CLIPVisionEncode struct {
	Vision *engine.ImageEncoder `in:"clip_vision" type:"CLIP_VISION"`
	Image  *tensor.Tensor       `in:"image" type:"IMAGE"`
	Crop   string               `in:"crop" options:"center|none"`
}

// Spec implements nodes.Node.
func (*CLIPVisionEncode) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CLIPVisionEncode", DisplayName: "CLIP Vision Encode", Category: "model/conditioning",
		Description: "Encodes images for models that read an image beside the text.",
		Outputs:     nodes.Outputs("CLIP_VISION_OUTPUT"), Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *CLIPVisionEncode) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.Vision == nil {
		return nodes.Result{}, nodes.Errorf("AttributeError", "encoding an image: there is no image encoder: clip_vision is None, as from a checkpoint that holds none; connect a CLIPVisionLoader")
	}
	if n.Image == nil || len(n.Image.Shape) != 4 || len(n.Image.Data) == 0 {
		return nodes.Result{}, nodes.Errorf("ValueError", "encoding an image: image holds no pixels")
	}
	out, err := n.Vision.Encode(ctx, n.Image, n.Crop == "center")
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(out), nil
}
