package patches

import (
	"comfygo/engine"
	"comfygo/engine/family/dit"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&ScaleROPE{})
	nodes.Register(&TorchCompileModel{})
}

// ScaleROPE scales and shifts the positions that a transformer sees.
type ScaleROPE struct {
	Model  *engine.Model `in:"model" type:"MODEL"`
	ScaleX float64       `in:"scale_x" advanced:"true" default:"1.0" min:"0.0" max:"100.0" step:"0.1"`
	ShiftX float64       `in:"shift_x" advanced:"true" default:"0.0" min:"-256.0" max:"256.0" step:"0.1"`
	ScaleY float64       `in:"scale_y" advanced:"true" default:"1.0" min:"0.0" max:"100.0" step:"0.1"`
	ShiftY float64       `in:"shift_y" advanced:"true" default:"0.0" min:"-256.0" max:"256.0" step:"0.1"`
	ScaleT float64       `in:"scale_t" advanced:"true" default:"1.0" min:"0.0" max:"100.0" step:"0.1"`
	ShiftT float64       `in:"shift_t" advanced:"true" default:"0.0" min:"-256.0" max:"256.0" step:"0.1"`
}

// Spec implements nodes.Node.
func (*ScaleROPE) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ScaleROPE", Category: "model/patch", Module: "comfy_extras.nodes_rope", V3: true,
		Description: "Scales and shifts the positions that a transformer sees, for images beyond the sizes that it was trained with.",
		Outputs:     nodes.Outputs("MODEL"), Experimental: true, Uses: nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *ScaleROPE) Run(*nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, errNoModel
	}
	r := dit.Rotary{ScaleX: n.ScaleX, ShiftX: n.ShiftX, ScaleY: n.ScaleY, ShiftY: n.ShiftY, ScaleT: n.ScaleT, ShiftT: n.ShiftT}
	if _, set := n.Model.Options()[dit.OptionRotary]; r == dit.Unscaled && !set {
		return nodes.Out(n.Model), nil
	}
	return nodes.Out(n.Model.WithOption(dit.OptionRotary, r)), nil
}

// TorchCompileModel passes the model through: graphs are compiled by the runtime in any case.
type TorchCompileModel struct {
	Model   *engine.Model `in:"model" type:"MODEL"`
	Backend string        `in:"backend" options:"inductor|cudagraphs" advanced:"true"`
}

// Spec implements nodes.Node.
func (*TorchCompileModel) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "TorchCompileModel", Category: "experimental", Module: "comfy_extras.nodes_torch_compile", V3: true,
		Description: "Has no effect here: there is no PyTorch, and models are compiled graphs in any case.",
		Outputs:     nodes.Outputs("MODEL"), Experimental: true, Uses: nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *TorchCompileModel) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, errNoModel
	}
	ctx.Warn("TorchCompileModel has no effect: models run as compiled graphs in any case")
	return nodes.Out(n.Model), nil
}
