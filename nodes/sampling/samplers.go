package sampling

import (
	"comfygo/engine"
	es "comfygo/engine/sampling"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&KSamplerSelect{})
	nodes.Register(&SamplerEulerAncestral{})
	nodes.Register(&SamplerEulerAncestralCFGPP{})
	nodes.Register(&SamplerEulerCFGpp{})
	nodes.Register(&SamplerLMS{})
	nodes.Register(&SamplerDPMPP3MSDE{})
	nodes.Register(&SamplerDPMPP2MSDE{})
	nodes.Register(&SamplerDPMPPSDE{})
	nodes.Register(&SamplerDPMPP2SAncestral{})
	nodes.Register(&SamplerDPMAdaptative{})
	nodes.Register(&SamplerERSDE{})
	nodes.Register(&SamplerSASolver{})
	nodes.Register(&SamplerSEEDS2{})
	nodes.Register(&SamplerLCM{})
	nodes.Register(&SamplerLCMUpscale{})
}

// KSamplerSelect picks a sampler by name.
type KSamplerSelect struct {
	SamplerName string `in:"sampler_name" choices:"sampler_name"`
}

// Spec implements nodes.Node.
func (*KSamplerSelect) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "KSamplerSelect", Category: "model/sampling/samplers", V3: true, Module: "comfy_extras.nodes_custom_sampler",
		Outputs: nodes.Outputs("SAMPLER"),
	}
}

// Choices implements nodes.Chooser.
func (*KSamplerSelect) Choices(_ nodes.Env, input string) []any { return choices(input) }

// Run implements nodes.Node.
func (n *KSamplerSelect) Run(_ *nodes.Context) (nodes.Result, error) {
	s, err := es.NewSampler(n.SamplerName)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(s), nil
}

// SamplerEulerAncestral is euler_ancestral with its options.
type SamplerEulerAncestral struct {
	Eta      float64 `in:"eta" default:"1.0" min:"0.0" max:"100.0" step:"0.01" round:"false" advanced:"true"`
	Strength float64 `in:"s_noise" default:"1.0" min:"0.0" max:"100.0" step:"0.01" round:"false" advanced:"true"`
}

// Spec implements nodes.Node.
func (*SamplerEulerAncestral) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SamplerEulerAncestral", Category: "model/sampling/samplers", V3: true, Module: "comfy_extras.nodes_custom_sampler",
		Outputs: nodes.Outputs("SAMPLER"),
	}
}

// Run implements nodes.Node.
func (n *SamplerEulerAncestral) Run(_ *nodes.Context) (nodes.Result, error) {
	return nodes.Out(es.EulerAncestral(n.Eta, n.Strength)), nil
}

// SamplerEulerAncestralCFGPP is euler_ancestral_cfg_pp with its options.
type SamplerEulerAncestralCFGPP struct {
	Eta      float64 `in:"eta" default:"1.0" min:"0.0" max:"1.0" step:"0.01" round:"false"`
	Strength float64 `in:"s_noise" default:"1.0" min:"0.0" max:"10.0" step:"0.01" round:"false"`
}

// Spec implements nodes.Node.
func (*SamplerEulerAncestralCFGPP) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SamplerEulerAncestralCFGPP", DisplayName: "SamplerEulerAncestralCFG++", Category: "model/sampling/samplers", V3: true, Module: "comfy_extras.nodes_custom_sampler",
		Outputs: nodes.Outputs("SAMPLER"),
	}
}

// Run implements nodes.Node.
func (n *SamplerEulerAncestralCFGPP) Run(_ *nodes.Context) (nodes.Result, error) {
	return nodes.Out(es.EulerAncestralCFGPP(n.Eta, n.Strength)), nil
}

// SamplerEulerCFGpp is euler_cfg_pp in one of two forms.
type SamplerEulerCFGpp struct {
	Version string `in:"version" options:"regular|alternative" advanced:"true"`
}

// Spec implements nodes.Node.
func (*SamplerEulerCFGpp) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SamplerEulerCFGpp", DisplayName: "SamplerEulerCFG++", Category: "experimental", V3: true, Module: "comfy_extras.nodes_advanced_samplers",
		Experimental: true,
		Outputs:      nodes.Outputs("SAMPLER"),
	}
}

// Run implements nodes.Node.
func (n *SamplerEulerCFGpp) Run(_ *nodes.Context) (nodes.Result, error) {
	if n.Version == "alternative" {
		return nodes.Out(es.EulerPP()), nil
	}
	return made(es.NewSampler("euler_cfg_pp"))
}

// SamplerLMS is lms of any order.
type SamplerLMS struct {
	Order int `in:"order" default:"4" min:"1" max:"100" advanced:"true"`
}

// Spec implements nodes.Node.
func (*SamplerLMS) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SamplerLMS", Category: "model/sampling/samplers", V3: true, Module: "comfy_extras.nodes_custom_sampler",
		Outputs: nodes.Outputs("SAMPLER"),
	}
}

// Run implements nodes.Node.
func (n *SamplerLMS) Run(_ *nodes.Context) (nodes.Result, error) {
	return made(es.LMS(n.Order))
}

// SamplerDPMPP3MSDE is dpmpp_3m_sde with its options.
type SamplerDPMPP3MSDE struct {
	Eta         float64 `in:"eta" default:"1.0" min:"0.0" max:"100.0" step:"0.01" round:"false" advanced:"true"`
	Strength    float64 `in:"s_noise" default:"1.0" min:"0.0" max:"100.0" step:"0.01" round:"false" advanced:"true"`
	NoiseDevice string  `in:"noise_device" options:"gpu|cpu" advanced:"true"`
}

// Spec implements nodes.Node.
func (*SamplerDPMPP3MSDE) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SamplerDPMPP_3M_SDE", Category: "model/sampling/samplers", V3: true, Module: "comfy_extras.nodes_custom_sampler",
		Outputs: nodes.Outputs("SAMPLER"),
	}
}

// Run implements nodes.Node.
func (n *SamplerDPMPP3MSDE) Run(_ *nodes.Context) (nodes.Result, error) {
	return nodes.Out(es.DPMPP3MSDE(n.Eta, n.Strength)), nil
}

// SamplerDPMPP2MSDE is dpmpp_2m_sde with its options.
type SamplerDPMPP2MSDE struct {
	SolverType  string  `in:"solver_type" options:"midpoint|heun"`
	Eta         float64 `in:"eta" default:"1.0" min:"0.0" max:"100.0" step:"0.01" round:"false" advanced:"true"`
	Strength    float64 `in:"s_noise" default:"1.0" min:"0.0" max:"100.0" step:"0.01" round:"false" advanced:"true"`
	NoiseDevice string  `in:"noise_device" options:"gpu|cpu" advanced:"true"`
}

// Spec implements nodes.Node.
func (*SamplerDPMPP2MSDE) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SamplerDPMPP_2M_SDE", Category: "model/sampling/samplers", V3: true, Module: "comfy_extras.nodes_custom_sampler",
		Outputs: nodes.Outputs("SAMPLER"),
	}
}

// Run implements nodes.Node.
func (n *SamplerDPMPP2MSDE) Run(_ *nodes.Context) (nodes.Result, error) {
	return nodes.Out(es.DPMPP2MSDE(n.SolverType == "heun", n.Eta, n.Strength)), nil
}

// SamplerDPMPPSDE is dpmpp_sde with its options.
type SamplerDPMPPSDE struct {
	Eta         float64 `in:"eta" default:"1.0" min:"0.0" max:"100.0" step:"0.01" round:"false" advanced:"true"`
	Strength    float64 `in:"s_noise" default:"1.0" min:"0.0" max:"100.0" step:"0.01" round:"false" advanced:"true"`
	Ratio       float64 `in:"r" default:"0.5" min:"0.0" max:"100.0" step:"0.01" round:"false" advanced:"true"`
	NoiseDevice string  `in:"noise_device" options:"gpu|cpu" advanced:"true"`
}

// Spec implements nodes.Node.
func (*SamplerDPMPPSDE) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SamplerDPMPP_SDE", Category: "model/sampling/samplers", V3: true, Module: "comfy_extras.nodes_custom_sampler",
		Outputs: nodes.Outputs("SAMPLER"),
	}
}

// Run implements nodes.Node.
func (n *SamplerDPMPPSDE) Run(_ *nodes.Context) (nodes.Result, error) {
	return made(es.DPMPPSDE(n.Eta, n.Strength, n.Ratio))
}

// SamplerDPMPP2SAncestral is dpmpp_2s_ancestral with its options.
type SamplerDPMPP2SAncestral struct {
	Eta      float64 `in:"eta" default:"1.0" min:"0.0" max:"100.0" step:"0.01" round:"false"`
	Strength float64 `in:"s_noise" default:"1.0" min:"0.0" max:"100.0" step:"0.01" round:"false"`
}

// Spec implements nodes.Node.
func (*SamplerDPMPP2SAncestral) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SamplerDPMPP_2S_Ancestral", Category: "model/sampling/samplers", V3: true, Module: "comfy_extras.nodes_custom_sampler",
		Outputs: nodes.Outputs("SAMPLER"),
	}
}

// Run implements nodes.Node.
func (n *SamplerDPMPP2SAncestral) Run(_ *nodes.Context) (nodes.Result, error) {
	return nodes.Out(es.DPMPP2SAncestral(n.Eta, n.Strength)), nil
}

// SamplerDPMAdaptative is dpm_adaptive with its options.
type SamplerDPMAdaptative struct {
	Order        int     `in:"order" default:"3" min:"2" max:"3" advanced:"true"`
	Relative     float64 `in:"rtol" default:"0.05" min:"0.0" max:"100.0" step:"0.01" round:"false" advanced:"true"`
	Absolute     float64 `in:"atol" default:"0.0078" min:"0.0" max:"100.0" step:"0.01" round:"false" advanced:"true"`
	First        float64 `in:"h_init" default:"0.05" min:"0.0" max:"100.0" step:"0.01" round:"false" advanced:"true"`
	Proportional float64 `in:"pcoeff" default:"0.0" min:"0.0" max:"100.0" step:"0.01" round:"false" advanced:"true"`
	Integral     float64 `in:"icoeff" default:"1.0" min:"0.0" max:"100.0" step:"0.01" round:"false" advanced:"true"`
	Derivative   float64 `in:"dcoeff" default:"0.0" min:"0.0" max:"100.0" step:"0.01" round:"false" advanced:"true"`
	AcceptSafety float64 `in:"accept_safety" default:"0.81" min:"0.0" max:"100.0" step:"0.01" round:"false" advanced:"true"`
	Eta          float64 `in:"eta" default:"0.0" min:"0.0" max:"100.0" step:"0.01" round:"false" advanced:"true"`
	Strength     float64 `in:"s_noise" default:"1.0" min:"0.0" max:"100.0" step:"0.01" round:"false" advanced:"true"`
}

// Spec implements nodes.Node.
func (*SamplerDPMAdaptative) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SamplerDPMAdaptative", Category: "model/sampling/samplers", V3: true, Module: "comfy_extras.nodes_custom_sampler",
		Outputs: nodes.Outputs("SAMPLER"),
	}
}

// Run implements nodes.Node.
func (n *SamplerDPMAdaptative) Run(_ *nodes.Context) (nodes.Result, error) {
	return made(es.DPMAdaptive(es.Adaptive{
		Order: n.Order, Relative: n.Relative, Absolute: n.Absolute, First: n.First, Proportional: n.Proportional, Integral: n.Integral,
		Derivative: n.Derivative, Safe: n.AcceptSafety, Eta: n.Eta, Strength: n.Strength,
	}))
}

// SamplerERSDE is er_sde with its options.
type SamplerERSDE struct {
	SolverType string  `in:"solver_type" options:"ER-SDE|Reverse-time SDE|ODE"`
	MaxStage   int     `in:"max_stage" default:"3" min:"1" max:"3" advanced:"true"`
	Eta        float64 `in:"eta" default:"1.0" min:"0.0" max:"10.0" step:"0.01" round:"false" advanced:"true" tooltip:"How much noise the stochastic forms add. 0 makes them deterministic; if a high value breaks the image, lower it."`
	Strength   float64 `in:"s_noise" default:"1.0" min:"0.0" max:"100.0" step:"0.01" round:"false" advanced:"true"`
}

// Spec implements nodes.Node.
func (*SamplerERSDE) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SamplerER_SDE", Category: "model/sampling/samplers", V3: true, Module: "comfy_extras.nodes_custom_sampler",
		Outputs: nodes.Outputs("SAMPLER"),
	}
}

// Run implements nodes.Node.
func (n *SamplerERSDE) Run(_ *nodes.Context) (nodes.Result, error) {
	return made(es.ERSDE(n.SolverType, n.MaxStage, n.Eta, n.Strength))
}

// SamplerSASolver is sa_solver with its options.
type SamplerSASolver struct {
	Model          *engine.Model `in:"model" type:"MODEL"`
	Eta            float64       `in:"eta" default:"1.0" min:"0.0" max:"10.0" step:"0.01" round:"false" advanced:"true"`
	Start          float64       `in:"sde_start_percent" default:"0.2" min:"0.0" max:"1.0" step:"0.001" advanced:"true"`
	End            float64       `in:"sde_end_percent" default:"0.8" min:"0.0" max:"1.0" step:"0.001" advanced:"true"`
	Strength       float64       `in:"s_noise" default:"1.0" min:"0.0" max:"100.0" step:"0.01" round:"false" advanced:"true"`
	PredictorOrder int           `in:"predictor_order" default:"3" min:"1" max:"6" advanced:"true"`
	CorrectorOrder int           `in:"corrector_order" default:"4" min:"0" max:"6" advanced:"true"`
	PECE           bool          `in:"use_pece" advanced:"true"`
	Simple         bool          `in:"simple_order_2" advanced:"true"`
}

// Spec implements nodes.Node.
func (*SamplerSASolver) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SamplerSASolver", Category: "model/sampling/samplers", V3: true, Module: "comfy_extras.nodes_custom_sampler",
		SearchAliases: []string{"sde"},
		Outputs:       nodes.Outputs("SAMPLER"),
	}
}

// Run implements nodes.Node.
func (n *SamplerSASolver) Run(_ *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, errNoModel
	}
	levels := n.Model.Sampling()
	return made(es.SASolver(es.SASettings{
		Eta: n.Eta, Start: levels.PercentToSigma(n.Start), End: levels.PercentToSigma(n.End), Strength: n.Strength,
		Predictor: n.PredictorOrder, Corrector: n.CorrectorOrder, PECE: n.PECE, Simple: n.Simple,
	}))
}

// SamplerSEEDS2 is seeds_2 with its options.
type SamplerSEEDS2 struct {
	SolverType string  `in:"solver_type" options:"phi_1|phi_2"`
	Eta        float64 `in:"eta" default:"1.0" min:"0.0" max:"100.0" step:"0.01" round:"false" advanced:"true" tooltip:"The share of fresh noise in each step."`
	Strength   float64 `in:"s_noise" default:"1.0" min:"0.0" max:"100.0" step:"0.01" round:"false" advanced:"true" tooltip:"Multiplies the noise that is added."`
	Ratio      float64 `in:"r" default:"0.5" min:"0.01" max:"1.0" step:"0.01" round:"false" advanced:"true" tooltip:"Where in a step its middle stage lies."`
}

// Spec implements nodes.Node.
func (*SamplerSEEDS2) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SamplerSEEDS2", Category: "model/sampling/samplers", V3: true, Module: "comfy_extras.nodes_custom_sampler",
		Description: "A two-stage stochastic solver. With its defaults it is seeds_2; with phi_2 and r at 1 it is exp_heun_2_x0 when eta is 0 and exp_heun_2_x0_sde when eta is 1.", SearchAliases: []string{"sde", "exp heun"},
		Outputs: nodes.Outputs("SAMPLER"),
	}
}

// Run implements nodes.Node.
func (n *SamplerSEEDS2) Run(_ *nodes.Context) (nodes.Result, error) {
	return made(es.SEEDS2(n.SolverType == "phi_2", n.Eta, n.Strength, n.Ratio))
}

// SamplerLCM is lcm with its options.
type SamplerLCM struct {
	Strength     float64 `in:"s_noise" default:"1.0" min:"0.0" max:"64.0" step:"0.01" tooltip:"Multiplies the noise of the first step; 1 is what the model was trained with."`
	StrengthEnd  float64 `in:"s_noise_end" default:"1.0" min:"0.0" max:"64.0" step:"0.01" tooltip:"Multiplies the noise of the last step; steps between go evenly from one value to the other."`
	NoiseClipStd float64 `in:"noise_clip_std" default:"0.0" min:"0.0" max:"10.0" step:"0.01" tooltip:"Cuts noise beyond this many standard deviations; 0 cuts nothing."`
}

// Spec implements nodes.Node.
func (*SamplerLCM) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SamplerLCM", Category: "model/sampling/samplers", V3: true, Module: "comfy_extras.nodes_advanced_samplers",
		Description: "The LCM sampler with a choice of how much noise each step adds.",
		Outputs:     nodes.Outputs("SAMPLER"),
	}
}

// Run implements nodes.Node.
func (n *SamplerLCM) Run(_ *nodes.Context) (nodes.Result, error) {
	return nodes.Out(es.LCMSampler(n.Strength, n.StrengthEnd, n.NoiseClipStd)), nil
}

// SamplerLCMUpscale is lcm that enlarges the latent on its way.
type SamplerLCMUpscale struct {
	ScaleRatio    float64 `in:"scale_ratio" default:"1.0" min:"0.1" max:"20.0" step:"0.01" advanced:"true"`
	ScaleSteps    int     `in:"scale_steps" default:"-1" min:"-1" max:"1000" step:"1" advanced:"true"`
	UpscaleMethod string  `in:"upscale_method" options:"bislerp|nearest-exact|bilinear|area|bicubic"`
}

// Spec implements nodes.Node.
func (*SamplerLCMUpscale) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SamplerLCMUpscale", Category: "model/sampling/samplers", V3: true, Module: "comfy_extras.nodes_advanced_samplers",
		Outputs: nodes.Outputs("SAMPLER"),
	}
}

// Run implements nodes.Node.
func (n *SamplerLCMUpscale) Run(_ *nodes.Context) (nodes.Result, error) {
	return nodes.Out(es.LCMUpscale(n.ScaleRatio, n.ScaleSteps, n.UpscaleMethod)), nil
}

// made returns the result of a constructor.
func made(s *es.Sampler, err error) (nodes.Result, error) {
	if err != nil {
		return nodes.Result{}, nodes.Errorf("ValueError", "%w", err)
	}
	return nodes.Out(s), nil
}
