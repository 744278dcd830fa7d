package sampling

import (
	"comfygo/engine"
	es "comfygo/engine/sampling"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&VideoLinearCFGGuidance{})
	nodes.Register(&VideoTriangleCFGGuidance{})
	nodes.Register(&RenormCFG{})
	nodes.Register(&LTXVDualCFGGuider{})
}

// combined returns a model with another guidance.
func combined(m *engine.Model, f es.CombineFunc) (nodes.Result, error) {
	if m == nil {
		return nodes.Result{}, errNoModel
	}
	return nodes.Out(m.WithHooks(func(h es.Hooks) es.Hooks { return h.WithCombine(f) })), nil
}

// VideoLinearCFGGuidance guides later frames more strongly.
type VideoLinearCFGGuidance struct {
	Model  *engine.Model `in:"model" type:"MODEL"`
	MinCFG float64       `in:"min_cfg" default:"1.0" min:"0.0" max:"100.0" step:"0.5" round:"0.01" advanced:"true"`
}

// Spec implements nodes.Node.
func (*VideoLinearCFGGuidance) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "VideoLinearCFGGuidance", DisplayName: "Video Linear CFG Guidance", Category: "model/sampling/guiders", Module: "comfy_extras.nodes_video_model",
		Description: "Lets the guidance scale rise evenly from the first frame to the last.",
		Outputs:     nodes.Outputs("MODEL"),
	}
}

// Run implements nodes.Node.
func (n *VideoLinearCFGGuidance) Run(_ *nodes.Context) (nodes.Result, error) {
	return combined(n.Model, es.LinearCFG(n.MinCFG))
}

// VideoTriangleCFGGuidance guides the frames in the middle more strongly.
type VideoTriangleCFGGuidance struct {
	Model  *engine.Model `in:"model" type:"MODEL"`
	MinCFG float64       `in:"min_cfg" default:"1.0" min:"0.0" max:"100.0" step:"0.5" round:"0.01" advanced:"true"`
}

// Spec implements nodes.Node.
func (*VideoTriangleCFGGuidance) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "VideoTriangleCFGGuidance", DisplayName: "Video Triangle CFG Guidance", Category: "model/sampling/guiders", Module: "comfy_extras.nodes_video_model",
		Description: "Lets the guidance scale rise to the middle frame and fall again.",
		Outputs:     nodes.Outputs("MODEL"),
	}
}

// Run implements nodes.Node.
func (n *VideoTriangleCFGGuidance) Run(_ *nodes.Context) (nodes.Result, error) {
	return combined(n.Model, es.TriangleCFG(n.MinCFG))
}

// RenormCFG bounds the length of the guided prediction.
type RenormCFG struct {
	Model    *engine.Model `in:"model" type:"MODEL"`
	CFGTrunc float64       `in:"cfg_trunc" default:"100" min:"0.0" max:"100.0" step:"0.01" advanced:"true"`
	Renorm   float64       `in:"renorm_cfg" default:"1.0" min:"0.0" max:"100.0" step:"0.01" advanced:"true"`
}

// Spec implements nodes.Node.
func (*RenormCFG) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "RenormCFG", Category: "model/patch", V3: true, Module: "comfy_extras.nodes_lumina2",
		Outputs: nodes.Outputs("MODEL"),
	}
}

// Run implements nodes.Node.
func (n *RenormCFG) Run(_ *nodes.Context) (nodes.Result, error) {
	return combined(n.Model, es.RenormCFG(n.CFGTrunc, n.Renorm))
}

// LTXVDualCFGGuider guides a video and its sound by scales of their own.
type LTXVDualCFGGuider struct {
	Model    *engine.Model       `in:"model" type:"MODEL"`
	Positive engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative engine.Conditioning `in:"negative" type:"CONDITIONING"`
	Video    float64             `in:"video_cfg" default:"3.0" min:"0.0" max:"100.0" step:"0.1" round:"0.01"`
	Audio    float64             `in:"audio_cfg" default:"7.0" min:"0.0" max:"100.0" step:"0.1" round:"0.01"`
}

// Spec implements nodes.Node.
func (*LTXVDualCFGGuider) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LTXVDualCFGGuider", DisplayName: "LTXV Dual CFG Guider", Category: "model/sampling/guiders", V3: true, Module: "comfy_extras.nodes_lt",
		Description: "Guides the video and the audio of a joint latent by scales of their own.",
		Outputs:     nodes.Outputs("GUIDER"),
	}
}

// Run implements nodes.Node.
func (n *LTXVDualCFGGuider) Run(_ *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, errNoModel
	}
	c, err := conditionings(named{"positive", n.Positive}, named{"negative", n.Negative})
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(&Guider{Model: n.Model, Guider: es.PartsGuider(c[0], c[1], n.Video, n.Audio)}), nil
}
