package patches

import (
	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

func init() { nodes.Register(&WanUni3CControlnetApply{}) }

// WanUni3CControlnetApply has the camera of a video of Wan follow that of a rendered one.
type WanUni3CControlnetApply struct {
	Model    *engine.Model      `in:"model" type:"MODEL"`
	Patch    *engine.ModelPatch `in:"model_patch" type:"MODEL_PATCH"`
	VAE      *engine.VAE        `in:"vae" type:"VAE"`
	Video    *tensor.Tensor     `in:"render_video" type:"IMAGE" tooltip:"Video that shows the camera's path, such as renders of the image's point cloud."`
	Strength float64            `in:"strength" default:"1.0" min:"-10.0" max:"10.0" step:"0.01"`
	Start    float64            `in:"start_percent" default:"0.0" min:"0.0" max:"1.0" step:"0.001"`
	End      float64            `in:"end_percent" default:"1.0" min:"0.0" max:"1.0" step:"0.001"`
}

// Spec implements nodes.Node.
func (*WanUni3CControlnetApply) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "WanUni3CControlnetApply", DisplayName: "Apply Wan Uni3C ControlNet", Category: "model/patch/wan",
		Module: "comfy_extras.nodes_model_patch", Experimental: true,
		Description: "Steers the camera of Wan 2.1 by a rendered video with the ControlNet of Uni3C.",
		Outputs:     nodes.Outputs("MODEL"), Uses: nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *WanUni3CControlnetApply) Run(*nodes.Context) (nodes.Result, error) {
	return attached(n.Model, n.Patch, engine.PatchOptions{VAE: n.VAE, Image: n.Video, Strength: n.Strength, Start: n.Start, End: n.End})
}
