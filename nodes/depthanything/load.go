package depthanything

import (
	"comfygo/engine/dtype"
	"comfygo/nodes"
)

func init() { nodes.Register(&LoadDA3Model{}) }

// LoadDA3Model loads a model of Depth Anything 3.
type LoadDA3Model struct {
	ModelName   string `in:"model_name" files:"geometry_estimation" tooltip:"Model from the folder geometry_estimation."`
	WeightDtype string `in:"weight_dtype" options:"default|fp16|bf16|fp32" default:"default" tooltip:"Type in which a GPU computes. A CPU always computes in float32."`
}

// Spec implements nodes.Node.
func (*LoadDA3Model) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LoadDA3Model", DisplayName: "Load Depth Anything 3", Category: "model/loaders", Module: module, V3: true,
		Outputs: nodes.Outputs(typeModel), Uses: nodes.UsesDevice,
	}
}

// types are the compute types by their names in the input.
var types = map[string]dtype.DType{"fp16": dtype.F16, "bf16": dtype.BF16, "fp32": dtype.F32}

// Run implements nodes.Node.
func (n *LoadDA3Model) Run(ctx *nodes.Context) (nodes.Result, error) {
	const folder = "geometry_estimation"
	path, ok := ctx.Folders.Find(folder, n.ModelName)
	if !ok {
		return nodes.Result{}, nodes.Errorf("FileNotFoundError", "loading the depth model: there is no file %q in the folder %s", n.ModelName, folder)
	}
	m, err := ctx.Engine.LoadDepthModel(path, types[n.WeightDtype])
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(m), nil
}
