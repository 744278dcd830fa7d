package patches

import (
	"comfygo/engine"
	es "comfygo/engine/sampling"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&RescaleCFG{})
	nodes.Register(&CFGZeroStar{})
	nodes.Register(&CFGNorm{})
	nodes.Register(&APG{})
	nodes.Register(&TCFG{})
	nodes.Register(&Mahiro{})
	nodes.Register(&EpsilonScaling{})
	nodes.Register(&TemporalScoreRescaling{})
	nodes.Register(&CFGOverride{})
}

// RescaleCFG keeps strong guidance from overexposing.
type RescaleCFG struct {
	Model      *engine.Model `in:"model" type:"MODEL"`
	Multiplier float64       `in:"multiplier" default:"0.7" min:"0.0" max:"1.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*RescaleCFG) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "RescaleCFG", Category: "model/patch", Module: "comfy_extras.nodes_model_advanced",
		Outputs: nodes.Outputs("MODEL"),
	}
}

// Run implements nodes.Node.
func (n *RescaleCFG) Run(_ *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, errNoModel
	}
	return nodes.Out(n.Model.WithHooks(func(h es.Hooks) es.Hooks { return h.WithCombine(es.RescaleCFG(n.Multiplier)) })), nil
}

// CFGZeroStar fits the negative prediction to the positive one.
type CFGZeroStar struct {
	Model *engine.Model `in:"model" type:"MODEL"`
}

// Spec implements nodes.Node.
func (*CFGZeroStar) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CFGZeroStar", Category: "advanced/guidance", V3: true, Module: "comfy_extras.nodes_cfg",
		Outputs: []nodes.Output{{Type: "MODEL", Name: "patched_model"}},
	}
}

// Run implements nodes.Node.
func (n *CFGZeroStar) Run(_ *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, errNoModel
	}
	return nodes.Out(n.Model.WithHooks(func(h es.Hooks) es.Hooks { return h.WithAfter(es.CFGZeroStar()) })), nil
}

// CFGNorm bounds the length of the guided prediction.
type CFGNorm struct {
	Model    *engine.Model `in:"model" type:"MODEL"`
	Strength float64       `in:"strength" default:"1.0" min:"0.0" max:"100.0" step:"0.01"`
	PreCFG   bool          `in:"pre_cfg" default:"false" optional:"true" tooltip:"Set the length of the guided noise to that of the positive one, up as well as down, in place of only shortening the guided prediction."`
}

// Spec implements nodes.Node.
func (*CFGNorm) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CFGNorm", Category: "advanced/guidance", V3: true, Module: "comfy_extras.nodes_cfg",
		Experimental: true,
		Outputs:      []nodes.Output{{Type: "MODEL", Name: "patched_model"}},
	}
}

// Run implements nodes.Node.
func (n *CFGNorm) Run(_ *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, errNoModel
	}
	return nodes.Out(n.Model.WithHooks(func(h es.Hooks) es.Hooks {
		if n.PreCFG {
			return h.WithCombine(es.CFGNormNoise(n.Strength))
		}
		return h.WithAfter(es.CFGNorm(n.Strength))
	})), nil
}

// APG is adaptive projected guidance.
type APG struct {
	Model         *engine.Model `in:"model" type:"MODEL"`
	Eta           float64       `in:"eta" default:"1.0" min:"-10.0" max:"10.0" step:"0.01" advanced:"true" tooltip:"How much of the guidance that points along the positive prediction is kept; 1 keeps all of it."`
	NormThreshold float64       `in:"norm_threshold" default:"5.0" min:"0.0" max:"50.0" step:"0.1" advanced:"true" tooltip:"Guidance longer than this is shortened to it; 0 for no bound."`
	Momentum      float64       `in:"momentum" default:"0.0" min:"-5.0" max:"1.0" step:"0.01" advanced:"true" tooltip:"How much of the last step's guidance is carried on; 0 carries nothing."`
}

// Spec implements nodes.Node.
func (*APG) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "APG", DisplayName: "Adaptive Projected Guidance", Category: "model/sampling/custom", V3: true, Module: "comfy_extras.nodes_apg",
		Outputs: nodes.Outputs("MODEL"),
	}
}

// Run implements nodes.Node.
func (n *APG) Run(_ *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, errNoModel
	}
	return nodes.Out(n.Model.WithHooks(func(h es.Hooks) es.Hooks { return h.WithBefore(es.APG(n.Eta, n.NormThreshold, n.Momentum)) })), nil
}

// TCFG is tangential damping.
type TCFG struct {
	Model *engine.Model `in:"model" type:"MODEL"`
}

// Spec implements nodes.Node.
func (*TCFG) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "TCFG", DisplayName: "Tangential Damping CFG", Category: "advanced/guidance", V3: true, Module: "comfy_extras.nodes_tcfg",
		Description: "Takes out of the negative prediction what does not agree with the main direction of both (arXiv 2503.18137).",
		Outputs:     []nodes.Output{{Type: "MODEL", Name: "patched_model"}},
	}
}

// Run implements nodes.Node.
func (n *TCFG) Run(_ *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, errNoModel
	}
	return nodes.Out(n.Model.WithHooks(func(h es.Hooks) es.Hooks { return h.WithBefore(es.TCFG()) })), nil
}

// Mahiro guides by direction.
type Mahiro struct {
	Model *engine.Model `in:"model" type:"MODEL"`
}

// Spec implements nodes.Node.
func (*Mahiro) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "Mahiro", DisplayName: "Positive-Biased Guidance", Category: "experimental", V3: true, Module: "comfy_extras.nodes_mahiro",
		Description: "Guides more by where the positive prompt leads than by its difference from the negative one.", SearchAliases: []string{"mahiro", "mahiro cfg", "similarity-adaptive guidance", "positive-biased cfg"}, Experimental: true,
		Outputs: []nodes.Output{{Type: "MODEL", Name: "patched_model"}},
	}
}

// Run implements nodes.Node.
func (n *Mahiro) Run(_ *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, errNoModel
	}
	return nodes.Out(n.Model.WithHooks(func(h es.Hooks) es.Hooks { return h.WithAfter(es.Mahiro()) })), nil
}

// EpsilonScaling scales the predicted noise.
type EpsilonScaling struct {
	Model         *engine.Model `in:"model" type:"MODEL"`
	ScalingFactor float64       `in:"scaling_factor" default:"1.005" min:"0.5" max:"1.5" step:"0.001" display:"number" advanced:"true"`
}

// Spec implements nodes.Node.
func (*EpsilonScaling) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "Epsilon Scaling", Category: "model/patch/unet", V3: true, Module: "comfy_extras.nodes_eps",
		Outputs: nodes.Outputs("MODEL"),
	}
}

// Run implements nodes.Node.
func (n *EpsilonScaling) Run(_ *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, errNoModel
	}
	return nodes.Out(n.Model.WithHooks(func(h es.Hooks) es.Hooks { return h.WithAfter(es.EpsilonScaling(n.ScalingFactor)) })), nil
}

// TemporalScoreRescaling scales the predicted noise by the ratio of signal to noise.
type TemporalScoreRescaling struct {
	Model *engine.Model `in:"model" type:"MODEL"`
	K     float64       `in:"tsr_k" default:"0.95" min:"0.01" max:"100.0" step:"0.001" display:"number" advanced:"true" tooltip:"The factor at the end of the run: below 1 gives more detail, above 1 a smoother image, 1 changes nothing."`
	Width float64       `in:"tsr_sigma" default:"1.0" min:"0.01" max:"100.0" step:"0.001" display:"number" advanced:"true" tooltip:"How early the effect sets in: the higher, the earlier."`
}

// Spec implements nodes.Node.
func (*TemporalScoreRescaling) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "TemporalScoreRescaling", DisplayName: "TSR - Temporal Score Rescaling", Category: "model/patch/unet", V3: true, Module: "comfy_extras.nodes_eps",
		Description: "Scales the predicted noise by the ratio of signal to noise, which makes results more or less varied (arXiv 2510.01184).",
		Outputs:     []nodes.Output{{Type: "MODEL", Name: "patched_model"}},
	}
}

// Run implements nodes.Node.
func (n *TemporalScoreRescaling) Run(_ *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, errNoModel
	}
	return nodes.Out(n.Model.WithHooks(func(h es.Hooks) es.Hooks { return h.WithAfter(es.TemporalRescaling(n.K, n.Width)) })), nil
}

// CFGOverride sets the guidance scale for a part of the run.
type CFGOverride struct {
	Model        *engine.Model `in:"model" type:"MODEL"`
	CFG          float64       `in:"cfg" default:"1.0" min:"0.0" max:"100.0" step:"0.1" round:"0.01"`
	StartPercent float64       `in:"start_percent" default:"0.0" min:"0.0" max:"1.0" step:"0.001"`
	EndPercent   float64       `in:"end_percent" default:"1.0" min:"0.0" max:"1.0" step:"0.001"`
}

// Spec implements nodes.Node.
func (*CFGOverride) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CFGOverride", DisplayName: "CFG Override", Category: "model/sampling/guiders", V3: true, Module: "comfy_extras.nodes_custom_sampler",
		Description: "Sets the guidance scale for a part of the run. Of overlapping overrides the one next to the sampler counts.",
		Outputs:     nodes.Outputs("MODEL"),
	}
}

// Run implements nodes.Node.
func (n *CFGOverride) Run(_ *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, errNoModel
	}
	ms := n.Model.Sampling()
	r := es.ScaleRange{Low: ms.PercentToSigma(n.EndPercent), High: ms.PercentToSigma(n.StartPercent), Scale: n.CFG}
	return nodes.Out(n.Model.WithHooks(func(h es.Hooks) es.Hooks { return h.WithScale(r) })), nil
}
