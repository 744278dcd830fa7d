package sampling

import (
	"slices"

	"comfygo/engine"
	es "comfygo/engine/sampling"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&SplitSigmas{})
	nodes.Register(&SplitSigmasDenoise{})
	nodes.Register(&FlipSigmas{})
	nodes.Register(&SetFirstSigma{})
	nodes.Register(&ExtendIntermediateSigmas{})
	nodes.Register(&ManualSigmas{})
	nodes.Register(&SamplingPercentToSigma{})
}

// SplitSigmas parts levels at a step.
type SplitSigmas struct {
	Sigmas []float32 `in:"sigmas" type:"SIGMAS"`
	Step   int       `in:"step" default:"0" min:"0" max:"10000"`
}

// Spec implements nodes.Node.
func (*SplitSigmas) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SplitSigmas", Category: "model/sampling/sigmas", V3: true, Module: "comfy_extras.nodes_custom_sampler",
		Outputs: []nodes.Output{{Type: "SIGMAS", Name: "high_sigmas"}, {Type: "SIGMAS", Name: "low_sigmas"}},
	}
}

// Run implements nodes.Node.
func (n *SplitSigmas) Run(_ *nodes.Context) (nodes.Result, error) {
	high, low := es.SplitSigmas(n.Sigmas, n.Step)
	return nodes.Out(high, low), nil
}

// SplitSigmasDenoise parts levels at a share of the steps.
type SplitSigmasDenoise struct {
	Sigmas  []float32 `in:"sigmas" type:"SIGMAS"`
	Denoise float64   `in:"denoise" default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*SplitSigmasDenoise) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SplitSigmasDenoise", Category: "model/sampling/sigmas", V3: true, Module: "comfy_extras.nodes_custom_sampler",
		Outputs: []nodes.Output{{Type: "SIGMAS", Name: "high_sigmas"}, {Type: "SIGMAS", Name: "low_sigmas"}},
	}
}

// Run implements nodes.Node.
func (n *SplitSigmasDenoise) Run(_ *nodes.Context) (nodes.Result, error) {
	if n.Denoise-n.Denoise != 0 {
		return nodes.Result{}, nodes.Errorf("ValueError", "splitting sigmas: denoise is %v, want a finite number", n.Denoise)
	}
	high, low := es.SplitSigmasDenoise(n.Sigmas, n.Denoise)
	return nodes.Out(high, low), nil
}

// FlipSigmas reverses levels.
type FlipSigmas struct {
	Sigmas []float32 `in:"sigmas" type:"SIGMAS"`
}

// Spec implements nodes.Node.
func (*FlipSigmas) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "FlipSigmas", Category: "model/sampling/sigmas", V3: true, Module: "comfy_extras.nodes_custom_sampler",
		Outputs: nodes.Outputs("SIGMAS"),
	}
}

// Run implements nodes.Node.
func (n *FlipSigmas) Run(_ *nodes.Context) (nodes.Result, error) {
	return nodes.Out(es.FlipSigmas(n.Sigmas)), nil
}

// SetFirstSigma replaces the first level.
type SetFirstSigma struct {
	Sigmas []float32 `in:"sigmas" type:"SIGMAS"`
	Sigma  float64   `in:"sigma" default:"136.0" min:"0.0" max:"20000.0" step:"0.001" round:"false"`
}

// Spec implements nodes.Node.
func (*SetFirstSigma) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SetFirstSigma", Category: "model/sampling/sigmas", V3: true, Module: "comfy_extras.nodes_custom_sampler",
		Outputs: nodes.Outputs("SIGMAS"),
	}
}

// Run implements nodes.Node.
func (n *SetFirstSigma) Run(_ *nodes.Context) (nodes.Result, error) {
	if len(n.Sigmas) == 0 {
		return nodes.Result{}, nodes.Errorf("IndexError", "setting the first level: there are no levels")
	}
	out := slices.Clone(n.Sigmas)
	out[0] = float32(n.Sigma)
	return nodes.Out(out), nil
}

// ExtendIntermediateSigmas puts levels between others.
type ExtendIntermediateSigmas struct {
	Sigmas       []float32 `in:"sigmas" type:"SIGMAS"`
	Steps        int       `in:"steps" default:"2" min:"1" max:"100"`
	StartAtSigma float64   `in:"start_at_sigma" default:"-1.0" min:"-1.0" max:"20000.0" step:"0.01" round:"false"`
	EndAtSigma   float64   `in:"end_at_sigma" default:"12.0" min:"0.0" max:"20000.0" step:"0.01" round:"false"`
	Spacing      string    `in:"spacing" options:"linear|cosine|sine"`
}

// Spec implements nodes.Node.
func (*ExtendIntermediateSigmas) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ExtendIntermediateSigmas", Category: "model/sampling/sigmas", V3: true, Module: "comfy_extras.nodes_custom_sampler",
		SearchAliases: []string{"interpolate sigmas"},
		Outputs:       nodes.Outputs("SIGMAS"),
	}
}

// Run implements nodes.Node.
func (n *ExtendIntermediateSigmas) Run(_ *nodes.Context) (nodes.Result, error) {
	const most = 1 << 24
	if n.Steps > most/max(len(n.Sigmas), 1) {
		return nodes.Result{}, nodes.Errorf("ValueError", "extending sigmas: %d steps between %d sigmas are more than %d in all", n.Steps, len(n.Sigmas), most)
	}
	return levels(es.ExtendSigmas(n.Sigmas, n.Steps, n.StartAtSigma, n.EndAtSigma, n.Spacing))
}

// ManualSigmas reads levels from a text.
type ManualSigmas struct {
	Text string `in:"sigmas" default:"1, 0.5"`
}

// Spec implements nodes.Node.
func (*ManualSigmas) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ManualSigmas", Category: "model/sampling/sigmas", V3: true, Module: "comfy_extras.nodes_custom_sampler",
		SearchAliases: []string{"custom noise schedule", "define sigmas"}, Experimental: true,
		Outputs: nodes.Outputs("SIGMAS"),
	}
}

// Run implements nodes.Node.
func (n *ManualSigmas) Run(_ *nodes.Context) (nodes.Result, error) {
	return levels(es.ManualSigmas(n.Text))
}

// SamplingPercentToSigma returns the sigma at a share of the run.
type SamplingPercentToSigma struct {
	Model             *engine.Model `in:"model" type:"MODEL"`
	SamplingPercent   float64       `in:"sampling_percent" default:"0.0" min:"0.0" max:"1.0" step:"0.0001"`
	ReturnActualSigma bool          `in:"return_actual_sigma" default:"false" tooltip:"At 0 and 1, return the model's highest or lowest level in place of the open bounds that ranges are checked against."`
}

// Spec implements nodes.Node.
func (*SamplingPercentToSigma) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SamplingPercentToSigma", Category: "model/sampling/sigmas", V3: true, Module: "comfy_extras.nodes_custom_sampler",
		Outputs: []nodes.Output{{Type: "FLOAT", Name: "sigma_value"}},
	}
}

// Run implements nodes.Node.
func (n *SamplingPercentToSigma) Run(_ *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, errNoModel
	}
	ms := n.Model.Sampling()
	sigma := ms.PercentToSigma(n.SamplingPercent)
	switch {
	case n.ReturnActualSigma && n.SamplingPercent == 0:
		sigma = float64(ms.SigmaMax())
	case n.ReturnActualSigma && n.SamplingPercent == 1:
		sigma = float64(ms.SigmaMin())
	}
	return nodes.Out(sigma), nil
}
