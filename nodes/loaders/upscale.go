package loaders

import "comfygo/nodes"

func init() { nodes.Register(&UpscaleModelLoader{}) }

// UpscaleModelLoader opens a file that holds a network that enlarges images: an ESRGAN of any layout, or the compact
// network of Real-ESRGAN.
type UpscaleModelLoader struct {
	Name string `in:"model_name" files:"upscale_models"`
}

// Spec implements nodes.Node.
func (*UpscaleModelLoader) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "UpscaleModelLoader", DisplayName: "Load Upscale Model", Category: "model/loaders", Module: "comfy_extras.nodes_upscale_model", V3: true,
		Outputs: nodes.Outputs("UPSCALE_MODEL"), Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *UpscaleModelLoader) Run(ctx *nodes.Context) (nodes.Result, error) {
	path, err := find(ctx, "upscale_models", n.Name)
	if err != nil {
		return nodes.Result{}, err
	}
	u, err := ctx.Engine.LoadUpscaler(path)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(u), nil
}
