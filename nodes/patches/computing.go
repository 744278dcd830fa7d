package patches

import (
	"comfygo/engine"
	"comfygo/engine/dtype"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&ModelComputeDtype{})
	nodes.Register(&ModelAttentionBackend{})
}

// ModelComputeDtype sets the type of number that a model computes with on a GPU. A CPU always computes with float32.
type ModelComputeDtype struct {
	Model *engine.Model `in:"model" type:"MODEL"`
	DType string        `in:"dtype" options:"default|fp32|fp16|bf16" advanced:"true"`
}

// Spec implements nodes.Node.
func (*ModelComputeDtype) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ModelComputeDtype", Category: "advanced/debug", Module: "comfy_extras.nodes_model_advanced",
		Description:   "Sets the type of number that a model computes with on a GPU; CPUs always compute with float32.",
		SearchAliases: []string{"model precision", "change dtype"},
		Outputs:       nodes.Outputs("MODEL"),
	}
}

// computeTypes are the choices but for the default.
var computeTypes = map[string]dtype.DType{"fp32": dtype.F32, "fp16": dtype.F16, "bf16": dtype.BF16}

// Run implements nodes.Node.
func (n *ModelComputeDtype) Run(_ *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, errNoModel
	}
	return nodes.Out(n.Model.WithCompute(computeTypes[n.DType])), nil
}

// ModelAttentionBackend chooses how attention is computed. There is one way, which ONNX Runtime has; it gives the results of
// the choice.
type ModelAttentionBackend struct {
	Model     *engine.Model `in:"model" type:"MODEL"`
	Attention string        `in:"attention" options:"pytorch attention"`
}

// Spec implements nodes.Node.
func (*ModelAttentionBackend) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ModelAttentionBackend", Category: "model/patch", Module: "comfy_extras.nodes_model_advanced",
		Description: "Chooses how a model computes attention. Workflows may name ways that are not at hand; the one there is stands in for them.",
		Outputs:     nodes.Outputs("MODEL"), Validates: []string{"attention"},
	}
}

// ValidateInputs implements nodes.Validator: every name will do.
func (*ModelAttentionBackend) ValidateInputs(*nodes.Context) error { return nil }

// Run implements nodes.Node.
func (n *ModelAttentionBackend) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, errNoModel
	}
	if n.Attention != "pytorch attention" {
		ctx.Log.Warn("this way to compute attention is not at hand, the usual one stands in", "attention", n.Attention)
	}
	return nodes.Out(n.Model), nil
}
