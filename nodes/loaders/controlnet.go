package loaders

import "comfygo/nodes"

func init() { nodes.Register(&ControlNetLoader{}) }

// ControlNetLoader opens a file that holds a ControlNet, in its own layout or in that of diffusers.
type ControlNetLoader struct {
	Name string `in:"control_net_name" files:"controlnet"`
}

// Spec implements nodes.Node.
func (*ControlNetLoader) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ControlNetLoader", DisplayName: "Load ControlNet Model", Category: "model/loaders",
		Description:   "Opens a ControlNet for Stable Diffusion 1.x.",
		SearchAliases: []string{"controlnet", "control net", "cn", "load controlnet", "controlnet loader"},
		Outputs:       nodes.Outputs("CONTROL_NET"), Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *ControlNetLoader) Run(ctx *nodes.Context) (nodes.Result, error) {
	path, err := find(ctx, "controlnet", n.Name)
	if err != nil {
		return nodes.Result{}, err
	}
	c, err := ctx.Engine.LoadControlNet(path)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(c), nil
}
