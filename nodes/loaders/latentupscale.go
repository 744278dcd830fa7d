package loaders

import "comfygo/nodes"

func init() { nodes.Register(&LatentUpscaleModelLoader{}) }

// LatentUpscaleModelLoader opens a file that holds a network that enlarges video latents.
type LatentUpscaleModelLoader struct {
	Name string `in:"model_name" files:"latent_upscale_models"`
}

// Spec implements nodes.Node.
func (*LatentUpscaleModelLoader) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LatentUpscaleModelLoader", DisplayName: "Load Latent Upscale Model", Category: "model/loaders", Module: "comfy_extras.nodes_hunyuan", V3: true,
		Outputs: nodes.Outputs("LATENT_UPSCALE_MODEL"), Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *LatentUpscaleModelLoader) Run(ctx *nodes.Context) (nodes.Result, error) {
	path, err := find(ctx, "latent_upscale_models", n.Name)
	if err != nil {
		return nodes.Result{}, err
	}
	u, err := ctx.Engine.LoadLatentUpscaler(path)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(u), nil
}
