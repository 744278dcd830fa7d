package loaders

import (
	"comfygo/engine"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&ControlNetLoader{})
	nodes.Register(&DiffControlNetLoader{})
}

// ControlNetLoader opens a file that holds a ControlNet, a control-LoRA or a T2I-Adapter.
type ControlNetLoader struct {
	Name string `in:"control_net_name" files:"controlnet"`
}

// Spec implements nodes.Node.
func (*ControlNetLoader) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ControlNetLoader", DisplayName: "Load ControlNet Model", Category: "model/loaders",
		Description:   "Opens a ControlNet, control-LoRA or T2I-Adapter; the file tells for which models it is.",
		SearchAliases: []string{"controlnet", "control net", "cn", "load controlnet", "controlnet loader"},
		Outputs:       nodes.Outputs("CONTROL_NET"), Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *ControlNetLoader) Run(ctx *nodes.Context) (nodes.Result, error) {
	c, err := loadControlNet(ctx, n.Name)
	if err != nil {
		return nodes.Result{}, err
	}
	if c.Difference() {
		ctx.Warn("The weights of the ControlNet " + n.Name + " are differences to those of a model: load it with DiffControlNetLoader.")
	}
	return nodes.Out(c), nil
}

func loadControlNet(ctx *nodes.Context, name string) (*engine.ControlNet, error) {
	path, err := find(ctx, "controlnet", name)
	if err != nil {
		return nil, err
	}
	return ctx.Engine.LoadControlNet(path)
}

// DiffControlNetLoader loads a ControlNet whose weights are differences from those of a diffusion
// model.
type DiffControlNetLoader struct {
	Model *engine.Model `in:"model" type:"MODEL"`
	Name  string        `in:"control_net_name" files:"controlnet"`
}

// Spec implements nodes.Node.
func (*DiffControlNetLoader) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "DiffControlNetLoader", DisplayName: "Load ControlNet Model (diff)", Category: "model/loaders",
		Description: "Opens a ControlNet and, where its file stores differences, adds the model's weights to them.",
		Outputs:     nodes.Outputs("CONTROL_NET"), Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *DiffControlNetLoader) Run(ctx *nodes.Context) (nodes.Result, error) {
	c, err := loadControlNet(ctx, n.Name)
	if err != nil {
		return nodes.Result{}, err
	}
	if c.Difference() && n.Model == nil {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "loading a ControlNet: it stores differences to the weights of a model, and none is given; connect the diffusion model that it was made for to the input model")
	}
	if c, err = c.Added(n.Model); err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(c), nil
}
