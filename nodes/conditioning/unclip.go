package conditioning

import (
	"comfygo/engine"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&UnCLIPConditioning{})
}

// UnCLIPConditioning adds an encoded image to a conditioning of unCLIP models.
type UnCLIPConditioning struct {
	Conditioning      engine.Conditioning `in:"conditioning" type:"CONDITIONING"`
	ClipVisionOutput  any                 `in:"clip_vision_output" type:"CLIP_VISION_OUTPUT"`
	Strength          float64             `in:"strength" default:"1.0" min:"-10.0" max:"10.0" step:"0.01"`
	NoiseAugmentation float64             `in:"noise_augmentation" default:"0.0" min:"0.0" max:"1.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*UnCLIPConditioning) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "unCLIPConditioning", Category: "model/conditioning",
		Outputs: nodes.Outputs("CONDITIONING"),
		Uses:    nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *UnCLIPConditioning) Run(*nodes.Context) (nodes.Result, error) {
	if n.Strength == 0 {
		return nodes.Out(n.Conditioning), nil
	}
	entry := pyjson.NewObject("clip_vision_output", n.ClipVisionOutput, "strength", n.Strength, "noise_augmentation", n.NoiseAugmentation)
	return nodes.Out(n.Conditioning.Append("unclip_conditioning", []any{entry})), nil
}
