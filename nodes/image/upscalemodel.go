package image

import (
	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

func init() { nodes.Register(&ImageUpscaleWithModel{}) }

// ImageUpscaleWithModel enlarges pictures with a network.
type ImageUpscaleWithModel struct {
	Model *engine.Upscaler `in:"upscale_model" type:"UPSCALE_MODEL"`
	Image *tensor.Tensor   `in:"image" type:"IMAGE"`
}

// Spec implements nodes.Node.
func (*ImageUpscaleWithModel) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ImageUpscaleWithModel", DisplayName: "Upscale Image (using Model)", Category: "image/upscaling", Module: "comfy_extras.nodes_upscale_model", V3: true,
		SearchAliases: []string{"upscale", "upscaler", "upsc", "enlarge image", "super resolution", "hires", "superres", "increase resolution"},
		Outputs:       nodes.Outputs("IMAGE"), Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node. Progress is in tiles.
func (n *ImageUpscaleWithModel) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "enlarging pictures: there is no upscale model")
	}
	out, err := n.Model.Upscale(ctx, n.Image, func(done, all int) { ctx.Progress(float64(done), float64(all)) })
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(out), nil
}
