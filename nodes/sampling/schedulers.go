package sampling

import (
	"comfygo/engine"
	es "comfygo/engine/sampling"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&BasicScheduler{})
	nodes.Register(&KarrasScheduler{})
	nodes.Register(&ExponentialScheduler{})
	nodes.Register(&PolyexponentialScheduler{})
	nodes.Register(&LaplaceScheduler{})
	nodes.Register(&VPScheduler{})
	nodes.Register(&BetaSamplingScheduler{})
	nodes.Register(&SDTurboScheduler{})
	nodes.Register(&AlignYourStepsScheduler{})
	nodes.Register(&GITSScheduler{})
	nodes.Register(&OptimalStepsScheduler{})
}

// BasicScheduler makes the levels of a scheduler by name.
type BasicScheduler struct {
	Model     *engine.Model `in:"model" type:"MODEL"`
	Scheduler string        `in:"scheduler" choices:"scheduler"`
	Steps     int           `in:"steps" default:"20" min:"1" max:"10000"`
	Denoise   float64       `in:"denoise" default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*BasicScheduler) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "BasicScheduler", Category: "model/sampling/schedulers", V3: true, Module: "comfy_extras.nodes_custom_sampler",
		Outputs: nodes.Outputs("SIGMAS"),
	}
}

// Choices implements nodes.Chooser.
func (*BasicScheduler) Choices(_ nodes.Env, input string) []any { return choices(input) }

// Run implements nodes.Node.
func (n *BasicScheduler) Run(_ *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, errNoModel
	}
	return levels(es.BasicSigmas(n.Model.Sampling(), n.Scheduler, n.Steps, n.Denoise))
}

// KarrasScheduler makes levels that are even in a root.
type KarrasScheduler struct {
	Steps    int     `in:"steps" default:"20" min:"1" max:"10000"`
	SigmaMax float64 `in:"sigma_max" default:"14.614642" min:"0.0" max:"5000.0" step:"0.01" round:"false" advanced:"true"`
	SigmaMin float64 `in:"sigma_min" default:"0.0291675" min:"0.0" max:"5000.0" step:"0.01" round:"false" advanced:"true"`
	Rho      float64 `in:"rho" default:"7.0" min:"0.0" max:"100.0" step:"0.01" round:"false" advanced:"true"`
}

// Spec implements nodes.Node.
func (*KarrasScheduler) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "KarrasScheduler", Category: "model/sampling/schedulers", V3: true, Module: "comfy_extras.nodes_custom_sampler",
		Outputs: nodes.Outputs("SIGMAS"),
	}
}

// Run implements nodes.Node.
func (n *KarrasScheduler) Run(_ *nodes.Context) (nodes.Result, error) {
	sigmas, err := es.KarrasSigmas(n.Steps, n.SigmaMax, n.SigmaMin, n.Rho)
	if err != nil && n.Rho == 0 {
		return nodes.Result{}, nodes.Errorf("ZeroDivisionError", "%w", err)
	}
	return levels(sigmas, err)
}

// ExponentialScheduler makes levels that are even in the logarithm.
type ExponentialScheduler struct {
	Steps    int     `in:"steps" default:"20" min:"1" max:"10000"`
	SigmaMax float64 `in:"sigma_max" default:"14.614642" min:"0.0" max:"5000.0" step:"0.01" round:"false" advanced:"true"`
	SigmaMin float64 `in:"sigma_min" default:"0.0291675" min:"0.0" max:"5000.0" step:"0.01" round:"false" advanced:"true"`
}

// Spec implements nodes.Node.
func (*ExponentialScheduler) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ExponentialScheduler", Category: "model/sampling/schedulers", V3: true, Module: "comfy_extras.nodes_custom_sampler",
		Outputs: nodes.Outputs("SIGMAS"),
	}
}

// Run implements nodes.Node.
func (n *ExponentialScheduler) Run(_ *nodes.Context) (nodes.Result, error) {
	return levels(es.ExponentialSigmas(n.Steps, n.SigmaMax, n.SigmaMin))
}

// PolyexponentialScheduler makes levels that are a polynomial in the logarithm.
type PolyexponentialScheduler struct {
	Steps    int     `in:"steps" default:"20" min:"1" max:"10000"`
	SigmaMax float64 `in:"sigma_max" default:"14.614642" min:"0.0" max:"5000.0" step:"0.01" round:"false" advanced:"true"`
	SigmaMin float64 `in:"sigma_min" default:"0.0291675" min:"0.0" max:"5000.0" step:"0.01" round:"false" advanced:"true"`
	Rho      float64 `in:"rho" default:"1.0" min:"0.0" max:"100.0" step:"0.01" round:"false" advanced:"true"`
}

// Spec implements nodes.Node.
func (*PolyexponentialScheduler) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "PolyexponentialScheduler", Category: "model/sampling/schedulers", V3: true, Module: "comfy_extras.nodes_custom_sampler",
		Outputs: nodes.Outputs("SIGMAS"),
	}
}

// Run implements nodes.Node.
func (n *PolyexponentialScheduler) Run(_ *nodes.Context) (nodes.Result, error) {
	return levels(es.PolyexponentialSigmas(n.Steps, n.SigmaMax, n.SigmaMin, n.Rho))
}

// LaplaceScheduler makes levels by a Laplace distribution.
type LaplaceScheduler struct {
	Steps    int     `in:"steps" default:"20" min:"1" max:"10000"`
	SigmaMax float64 `in:"sigma_max" default:"14.614642" min:"0.0" max:"5000.0" step:"0.01" round:"false" advanced:"true"`
	SigmaMin float64 `in:"sigma_min" default:"0.0291675" min:"0.0" max:"5000.0" step:"0.01" round:"false" advanced:"true"`
	Mu       float64 `in:"mu" default:"0.0" min:"-10.0" max:"10.0" step:"0.1" round:"false" advanced:"true"`
	Beta     float64 `in:"beta" default:"0.5" min:"0.0" max:"10.0" step:"0.1" round:"false" advanced:"true"`
}

// Spec implements nodes.Node.
func (*LaplaceScheduler) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LaplaceScheduler", Category: "model/sampling/schedulers", V3: true, Module: "comfy_extras.nodes_custom_sampler",
		Outputs: nodes.Outputs("SIGMAS"),
	}
}

// Run implements nodes.Node.
func (n *LaplaceScheduler) Run(_ *nodes.Context) (nodes.Result, error) {
	return levels(es.LaplaceSigmas(n.Steps, n.SigmaMax, n.SigmaMin, n.Mu, n.Beta))
}

// VPScheduler makes the levels of a process of constant variance.
type VPScheduler struct {
	Steps   int     `in:"steps" default:"20" min:"1" max:"10000"`
	BetaD   float64 `in:"beta_d" default:"19.9" min:"0.0" max:"5000.0" step:"0.01" round:"false" advanced:"true"`
	BetaMin float64 `in:"beta_min" default:"0.1" min:"0.0" max:"5000.0" step:"0.01" round:"false" advanced:"true"`
	Epsilon float64 `in:"eps_s" default:"0.001" min:"0.0" max:"1.0" step:"0.0001" round:"false" advanced:"true"`
}

// Spec implements nodes.Node.
func (*VPScheduler) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "VPScheduler", Category: "model/sampling/schedulers", V3: true, Module: "comfy_extras.nodes_custom_sampler",
		Outputs: nodes.Outputs("SIGMAS"),
	}
}

// Run implements nodes.Node.
func (n *VPScheduler) Run(_ *nodes.Context) (nodes.Result, error) {
	return levels(es.VPSigmas(n.Steps, n.BetaD, n.BetaMin, n.Epsilon))
}

// BetaSamplingScheduler makes levels by a beta distribution.
type BetaSamplingScheduler struct {
	Model *engine.Model `in:"model" type:"MODEL"`
	Steps int           `in:"steps" default:"20" min:"1" max:"10000"`
	Alpha float64       `in:"alpha" default:"0.6" min:"0.0" max:"50.0" step:"0.01" round:"false" advanced:"true"`
	Beta  float64       `in:"beta" default:"0.6" min:"0.0" max:"50.0" step:"0.01" round:"false" advanced:"true"`
}

// Spec implements nodes.Node.
func (*BetaSamplingScheduler) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "BetaSamplingScheduler", Category: "model/sampling/schedulers", V3: true, Module: "comfy_extras.nodes_custom_sampler",
		Outputs: nodes.Outputs("SIGMAS"),
	}
}

// Run implements nodes.Node.
func (n *BetaSamplingScheduler) Run(_ *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, errNoModel
	}
	return levels(es.BetaSigmas(n.Model.Sampling(), n.Steps, n.Alpha, n.Beta))
}

// SDTurboScheduler makes the levels of SD Turbo.
type SDTurboScheduler struct {
	Model   *engine.Model `in:"model" type:"MODEL"`
	Steps   int           `in:"steps" default:"1" min:"1" max:"10"`
	Denoise float64       `in:"denoise" default:"1.0" min:"0" max:"1.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*SDTurboScheduler) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SDTurboScheduler", Category: "model/sampling/schedulers", V3: true, Module: "comfy_extras.nodes_custom_sampler",
		Outputs: nodes.Outputs("SIGMAS"),
	}
}

// Run implements nodes.Node.
func (n *SDTurboScheduler) Run(_ *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, errNoModel
	}
	return levels(es.SDTurboSigmas(n.Model.Sampling(), n.Steps, n.Denoise))
}

// AlignYourStepsScheduler makes levels that were found by optimisation.
type AlignYourStepsScheduler struct {
	ModelType string  `in:"model_type" options:"SD1|SDXL|SVD"`
	Steps     int     `in:"steps" default:"10" min:"1" max:"10000"`
	Denoise   float64 `in:"denoise" default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*AlignYourStepsScheduler) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "AlignYourStepsScheduler", Category: "model/sampling/schedulers", V3: true, Module: "comfy_extras.nodes_align_your_steps",
		SearchAliases: []string{"AYS scheduler"},
		Outputs:       nodes.Outputs("SIGMAS"),
	}
}

// Run implements nodes.Node.
func (n *AlignYourStepsScheduler) Run(_ *nodes.Context) (nodes.Result, error) {
	return levels(es.AlignYourSteps(n.ModelType, n.Steps, n.Denoise))
}

// GITSScheduler makes levels that follow the curve of the trajectory.
type GITSScheduler struct {
	Coeff   float64 `in:"coeff" default:"1.2" min:"0.8" max:"1.5" step:"0.05" advanced:"true"`
	Steps   int     `in:"steps" default:"10" min:"2" max:"1000"`
	Denoise float64 `in:"denoise" default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*GITSScheduler) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "GITSScheduler", Category: "model/sampling/schedulers", V3: true, Module: "comfy_extras.nodes_gits",
		Outputs: nodes.Outputs("SIGMAS"),
	}
}

// Run implements nodes.Node.
func (n *GITSScheduler) Run(_ *nodes.Context) (nodes.Result, error) {
	sigmas, err := es.GITS(n.Coeff, n.Steps, n.Denoise)
	if err != nil {
		return nodes.Result{}, nodes.Errorf("KeyError", "%w", err) // there is a table for every number of steps
	}
	return nodes.Out(sigmas), nil
}

// OptimalStepsScheduler makes levels for few steps of flow models.
type OptimalStepsScheduler struct {
	ModelType string  `in:"model_type" options:"FLUX|Wan|Chroma"`
	Steps     int     `in:"steps" default:"20" min:"3" max:"1000"`
	Denoise   float64 `in:"denoise" default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*OptimalStepsScheduler) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "OptimalStepsScheduler", Category: "model/sampling/schedulers", V3: true, Module: "comfy_extras.nodes_optimalsteps",
		Outputs: nodes.Outputs("SIGMAS"),
	}
}

// Run implements nodes.Node.
func (n *OptimalStepsScheduler) Run(_ *nodes.Context) (nodes.Result, error) {
	return levels(es.OptimalSteps(n.ModelType, n.Steps, n.Denoise))
}

// levels returns the result of a schedule.
func levels(sigmas []float32, err error) (nodes.Result, error) {
	if err != nil {
		return nodes.Result{}, nodes.Errorf("ValueError", "%w", err)
	}
	return nodes.Out(sigmas), nil
}
