package loaders

import "comfygo/nodes"

func init() { nodes.Register(&StyleModelLoader{}) }

// StyleModelLoader opens a style model.
type StyleModelLoader struct {
	Name string `in:"style_model_name" files:"style_models"`
}

// Spec implements nodes.Node.
func (*StyleModelLoader) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "StyleModelLoader", DisplayName: "Load Style Model", Category: "model/loaders",
		Description: "Loads a style model, which makes text tokens of an encoded image: Flux Redux or a T2I style adapter.",
		Outputs:     nodes.Outputs("STYLE_MODEL"), Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *StyleModelLoader) Run(ctx *nodes.Context) (nodes.Result, error) {
	path, err := find(ctx, "style_models", n.Name)
	if err != nil {
		return nodes.Result{}, err
	}
	s, err := ctx.Engine.LoadStyle(path)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(s), nil
}
