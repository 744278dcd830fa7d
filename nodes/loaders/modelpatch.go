package loaders

import "comfygo/nodes"

func init() { nodes.Register(&ModelPatchLoader{}) }

// ModelPatchLoader opens a network that acts inside of a diffusion model.
type ModelPatchLoader struct {
	Name string `in:"name" files:"model_patches"`
}

// Spec implements nodes.Node.
func (*ModelPatchLoader) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ModelPatchLoader", DisplayName: "Load Model Patch", Category: "model/loaders", Module: "comfy_extras.nodes_model_patch", Experimental: true,
		Description: "Opens a model patch: a ControlNet of DiffSynth, Z-Image Fun or Uni3C, SUPIR, audio layers, a projector of style references, or a duration head.",
		Outputs:     nodes.Outputs("MODEL_PATCH"), Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *ModelPatchLoader) Run(ctx *nodes.Context) (nodes.Result, error) {
	path, err := find(ctx, "model_patches", n.Name)
	if err != nil {
		return nodes.Result{}, err
	}
	p, err := ctx.Engine.LoadModelPatch(path)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(p), nil
}
