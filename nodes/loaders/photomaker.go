package loaders

import "comfygo/nodes"

func init() { nodes.Register(&PhotoMakerLoader{}) }

// PhotoMakerLoader opens a PhotoMaker model.
type PhotoMakerLoader struct {
	Name string `in:"photomaker_model_name" files:"photomaker"`
}

// Spec implements nodes.Node.
func (*PhotoMakerLoader) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "PhotoMakerLoader", DisplayName: "Load PhotoMaker Model", Category: "model/loaders",
		Module: "comfy_extras.nodes_photomaker", V3: true, Experimental: true,
		Description: "Loads a PhotoMaker model of version 1, which puts the person of an image in a prompt for Stable Diffusion XL.",
		Outputs:     nodes.Outputs("PHOTOMAKER"), Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *PhotoMakerLoader) Run(ctx *nodes.Context) (nodes.Result, error) {
	path, err := find(ctx, "photomaker", n.Name)
	if err != nil {
		return nodes.Result{}, err
	}
	p, err := ctx.Engine.LoadIdentity(path)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(p), nil
}
