package patches

import (
	"comfygo/engine"
	"comfygo/engine/family/sdxl"
	es "comfygo/engine/sampling"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&ModelSamplingDiscrete{})
	nodes.Register(&ModelSamplingContinuousEDM{})
	nodes.Register(&ModelSamplingContinuousV{})
	nodes.Register(&ModelSamplingStableCascade{})
	nodes.Register(&ModelSamplingSD3{})
	nodes.Register(&ModelSamplingAuraFlow{})
	nodes.Register(&ModelSamplingFlux{})
	nodes.Register(&ModelNoiseScale{})
}

// ModelSamplingDiscrete sets the prediction type of a model with a discrete noise schedule.
type ModelSamplingDiscrete struct {
	Model    *engine.Model `in:"model" type:"MODEL"`
	Sampling string        `in:"sampling" options:"eps|v_prediction|lcm|x0|img_to_img|img_to_img_flow"`
	ZSNR     bool          `in:"zsnr" default:"false" advanced:"true"`
}

// Spec implements nodes.Node.
func (*ModelSamplingDiscrete) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ModelSamplingDiscrete", Category: "model/patch", Module: "comfy_extras.nodes_model_advanced",
		Outputs: nodes.Outputs("MODEL"),
	}
}

// Run implements nodes.Node.
func (n *ModelSamplingDiscrete) Run(_ *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, errNoModel
	}
	s := n.Model.FamilySampling().Settings()
	s.ZSNR = n.ZSNR
	return sampled(n.Model, discreteTypes[n.Sampling], s)
}

// ModelSamplingContinuousEDM gives a model continuous levels.
type ModelSamplingContinuousEDM struct {
	Model    *engine.Model `in:"model" type:"MODEL"`
	Sampling string        `in:"sampling" options:"v_prediction|edm|edm_playground_v2.5|eps|cosmos_rflow"`
	SigmaMax float64       `in:"sigma_max" default:"120.0" min:"0.0" max:"1000.0" step:"0.001" round:"false" advanced:"true"`
	SigmaMin float64       `in:"sigma_min" default:"0.002" min:"0.0" max:"1000.0" step:"0.001" round:"false" advanced:"true"`
}

// Spec implements nodes.Node.
func (*ModelSamplingContinuousEDM) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ModelSamplingContinuousEDM", Category: "model/patch", Module: "comfy_extras.nodes_model_advanced",
		Outputs: nodes.Outputs("MODEL"),
	}
}

// Run implements nodes.Node.
func (n *ModelSamplingContinuousEDM) Run(_ *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, errNoModel
	}
	s := n.Model.FamilySampling().Settings()
	s.SigmaMin, s.SigmaMax, s.SigmaData = n.SigmaMin, n.SigmaMax, 1
	switch n.Sampling {
	case "edm", "edm_playground_v2.5":
		s.SigmaData = 0.5
	}
	if !(n.SigmaMin > 0 && n.SigmaMax > 0) {
		return nodes.Result{}, nodes.Errorf("ValueError", "choosing a model sampling: levels must be above 0, got %g to %g", n.SigmaMin, n.SigmaMax)
	}
	if n.Sampling == "edm_playground_v2.5" {
		n.Model = n.Model.WithLatentFormat(sdxl.Playground25Latent)
	}
	return sampled(n.Model, edmTypes[n.Sampling], s)
}

// ModelSamplingContinuousV gives a model continuous levels for velocities.
type ModelSamplingContinuousV struct {
	Model    *engine.Model `in:"model" type:"MODEL"`
	Sampling string        `in:"sampling" options:"v_prediction"`
	SigmaMax float64       `in:"sigma_max" default:"500.0" min:"0.0" max:"1000.0" step:"0.001" round:"false" advanced:"true"`
	SigmaMin float64       `in:"sigma_min" default:"0.03" min:"0.0" max:"1000.0" step:"0.001" round:"false" advanced:"true"`
}

// Spec implements nodes.Node.
func (*ModelSamplingContinuousV) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ModelSamplingContinuousV", Category: "model/patch", Module: "comfy_extras.nodes_model_advanced",
		Outputs: nodes.Outputs("MODEL"),
	}
}

// Run implements nodes.Node.
func (n *ModelSamplingContinuousV) Run(_ *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, errNoModel
	}
	s := n.Model.FamilySampling().Settings()
	s.SigmaMin, s.SigmaMax, s.SigmaData = n.SigmaMin, n.SigmaMax, 1
	if !(n.SigmaMin > 0 && n.SigmaMax > 0) {
		return nodes.Result{}, nodes.Errorf("ValueError", "choosing a model sampling: levels must be above 0, got %g to %g", n.SigmaMin, n.SigmaMax)
	}
	return sampled(n.Model, es.VPredictionContinuous, s)
}

// ModelSamplingStableCascade sets the shift of Stable Cascade.
type ModelSamplingStableCascade struct {
	Model *engine.Model `in:"model" type:"MODEL"`
	Shift float64       `in:"shift" default:"2.0" min:"0.0" max:"100.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*ModelSamplingStableCascade) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ModelSamplingStableCascade", Category: "model/patch/stable cascade", Module: "comfy_extras.nodes_model_advanced",
		Outputs: nodes.Outputs("MODEL"),
	}
}

// Run implements nodes.Node.
func (n *ModelSamplingStableCascade) Run(_ *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, errNoModel
	}
	if n.Shift <= 0 {
		return nodes.Result{}, errNoShift
	}
	return sampled(n.Model, es.StableCascade, es.Settings{Shift: n.Shift})
}

// ModelSamplingSD3 sets the shift of a rectified flow.
type ModelSamplingSD3 struct {
	Model *engine.Model `in:"model" type:"MODEL"`
	Shift float64       `in:"shift" default:"3.0" min:"0.0" max:"100.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*ModelSamplingSD3) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ModelSamplingSD3", Category: "model/patch/stable diffusion", Module: "comfy_extras.nodes_model_advanced",
		Outputs: nodes.Outputs("MODEL"),
	}
}

// Run implements nodes.Node.
func (n *ModelSamplingSD3) Run(_ *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, errNoModel
	}
	return shifted(n.Model, n.Shift, 1000)
}

// ModelSamplingAuraFlow sets the shift of a rectified flow with times from 0 to 1.
type ModelSamplingAuraFlow struct {
	Model *engine.Model `in:"model" type:"MODEL"`
	Shift float64       `in:"shift" default:"1.73" min:"0.0" max:"100.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*ModelSamplingAuraFlow) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ModelSamplingAuraFlow", Category: "model/patch", Module: "comfy_extras.nodes_model_advanced",
		Outputs: nodes.Outputs("MODEL"),
	}
}

// Run implements nodes.Node.
func (n *ModelSamplingAuraFlow) Run(_ *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, errNoModel
	}
	return shifted(n.Model, n.Shift, 1)
}

// ModelSamplingFlux sets the shift of Flux for a size of image.
type ModelSamplingFlux struct {
	Model     *engine.Model `in:"model" type:"MODEL"`
	MaxShift  float64       `in:"max_shift" default:"1.15" min:"0.0" max:"100.0" step:"0.01" advanced:"true"`
	BaseShift float64       `in:"base_shift" default:"0.5" min:"0.0" max:"100.0" step:"0.01" advanced:"true"`
	Width     int           `in:"width" default:"1024" min:"16" max:"16384" step:"8"`
	Height    int           `in:"height" default:"1024" min:"16" max:"16384" step:"8"`
}

// Spec implements nodes.Node.
func (*ModelSamplingFlux) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ModelSamplingFlux", Category: "model/patch/flux", Module: "comfy_extras.nodes_model_advanced",
		Outputs: nodes.Outputs("MODEL"),
	}
}

// Run implements nodes.Node.
func (n *ModelSamplingFlux) Run(_ *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, errNoModel
	}
	const few, many = 256, 4096 // the tokens of the smallest and the largest image
	slope := (n.MaxShift - n.BaseShift) / (many - few)
	tokens := float64(n.Width*n.Height) / (8 * 8 * 2 * 2)
	return nodes.Out(n.Model.WithSampling(es.FluxShift(tokens*slope + n.BaseShift - slope*few))), nil
}

// ModelNoiseScale sets the factor on noise that a rectified flow was trained with.
type ModelNoiseScale struct {
	Model      *engine.Model `in:"model" type:"MODEL"`
	NoiseScale float64       `in:"noise_scale" default:"1.0" min:"0.0" max:"64.0" step:"0.01" tooltip:"The factor on noise that the model was trained with, such as 8 for the base model of HiDream-O1."`
}

// Spec implements nodes.Node.
func (*ModelNoiseScale) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ModelNoiseScale", Category: "model/patch", Module: "comfy_extras.nodes_model_advanced",
		Outputs: nodes.Outputs("MODEL"),
	}
}

// Run implements nodes.Node.
func (n *ModelNoiseScale) Run(_ *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, errNoModel
	}
	s, err := n.Model.Sampling().WithNoiseScale(n.NoiseScale)
	if err != nil {
		return nodes.Result{}, nodes.Errorf("AttributeError", "%w", err)
	}
	return nodes.Out(n.Model.WithSampling(s)), nil
}

var discreteTypes = map[string]es.ModelType{
	"eps": es.EPS, "v_prediction": es.VPrediction, "lcm": es.LCM, "x0": es.X0, "img_to_img": es.ImgToImg, "img_to_img_flow": es.ImgToImgFlow,
}

var edmTypes = map[string]es.ModelType{
	"v_prediction": es.VPredictionEDM, "edm": es.EDM, "edm_playground_v2.5": es.EDM, "eps": es.EDMEPS, "cosmos_rflow": es.FlowCosmos,
}

var errNoShift = nodes.Errorf("ValueError", "choosing a model sampling: the shift must be above 0")

// sampled returns the model with another sampling.
func sampled(model *engine.Model, kind es.ModelType, s es.Settings) (nodes.Result, error) {
	ms, err := es.NewModelSampling(kind, s)
	if err != nil {
		return nodes.Result{}, nodes.Errorf("ValueError", "%w", err)
	}
	return nodes.Out(model.WithSampling(ms)), nil
}

// shifted returns the model as a rectified flow with a shift; a factor on its noise stays.
func shifted(model *engine.Model, shift, multiplier float64) (nodes.Result, error) {
	if shift <= 0 {
		return nodes.Result{}, errNoShift
	}
	ms, err := es.NewModelSampling(es.Flow, es.Settings{Shift: shift, Multiplier: multiplier})
	if err != nil {
		return nodes.Result{}, err
	}
	if old := model.Sampling(); old.Flow() {
		if ms, err = ms.WithNoiseScale(float64(old.NoiseScale())); err != nil {
			return nodes.Result{}, err
		}
	}
	return nodes.Out(model.WithSampling(ms)), nil
}
