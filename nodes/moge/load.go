package moge

import (
	"comfygo/nodes"
)

func init() { nodes.Register(&LoadMoGeModel{}) }

// LoadMoGeModel loads a MoGe model.
type LoadMoGeModel struct {
	ModelName string `in:"model_name" files:"geometry_estimation" tooltip:"MoGe or MoGe-2 model from the folder geometry_estimation."`
}

// Spec implements nodes.Node.
func (*LoadMoGeModel) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LoadMoGeModel", DisplayName: "Load MoGe Model", Category: "model/loaders", Module: module, V3: true,
		Outputs: nodes.Outputs("MOGE_MODEL"), Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *LoadMoGeModel) Run(ctx *nodes.Context) (nodes.Result, error) {
	const folder = "geometry_estimation"
	path, ok := ctx.Folders.Find(folder, n.ModelName)
	if !ok {
		return nodes.Result{}, nodes.Errorf("FileNotFoundError", "loading the MoGe model: there is no file %q in the folder %s", n.ModelName, folder)
	}
	m, err := ctx.Engine.LoadPointMapper(path)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(m), nil
}
