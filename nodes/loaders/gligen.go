package loaders

import "comfygo/nodes"

func init() { nodes.Register(&GLIGENLoader{}) }

// GLIGENLoader opens a file that holds a GLIGEN network.
type GLIGENLoader struct {
	Name string `in:"gligen_name" files:"gligen"`
}

// Spec implements nodes.Node.
func (*GLIGENLoader) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "GLIGENLoader", DisplayName: "Load GLIGEN Model", Category: "model/loaders",
		Description: "Loads a GLIGEN model, which places texts in boxes, for Stable Diffusion 1.x and 2.x.",
		Outputs:     nodes.Outputs("GLIGEN"), Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *GLIGENLoader) Run(ctx *nodes.Context) (nodes.Result, error) {
	path, err := find(ctx, "gligen", n.Name)
	if err != nil {
		return nodes.Result{}, err
	}
	g, err := ctx.Engine.LoadGrounding(path)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(g), nil
}
