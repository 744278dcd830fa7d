package sampling

import (
	"fmt"
	"math"
)

// ModelSampling combines a noise schedule (sigmas, timesteps) with a prediction type.
type ModelSampling struct {
	Levels
	Prediction
	kind     ModelType
	settings Settings
}

// Type returns the model type.
func (m *ModelSampling) Type() ModelType { return m.kind }

// Settings returns the settings of the model sampling.
func (m *ModelSampling) Settings() Settings { return m.settings }

// Levels maps between a model's own time and the sigma sigma. Upstream: the classes ModelSamplingDiscrete,
// ModelSamplingDiscreteFlow, … of comfy.model_sampling.
type Levels interface {
	// Sigmas are the levels the model knows, rising.
	Sigmas() []float32
	// Timestep returns the time that the network is given for a level.
	Timestep(sigma float32) float32
	// Sigma returns the level at a time.
	Sigma(timestep float32) float32
	// PercentToSigma returns the level at a share of the way from noise (0) to image (1).
	PercentToSigma(percent float64) float64
}

// ModelType names a pair of levels and prediction, as upstream's detection does.
type ModelType string

// The model types.
const (
	EPS                   ModelType = "EPS"
	VPrediction           ModelType = "V_PREDICTION"
	VPredictionEDM        ModelType = "V_PREDICTION_EDM"
	VPredictionContinuous ModelType = "V_PREDICTION_CONTINUOUS"
	VPredictionDDPM       ModelType = "V_PREDICTION_DDPM"
	StableCascade         ModelType = "STABLE_CASCADE"
	EDM                   ModelType = "EDM"
	Flow                  ModelType = "FLOW"
	// FlowAV is Flow for nested latents of video and audio, whose audio has a shift of its own.
	FlowAV     ModelType = "FLOW_AV"
	FlowCosmos ModelType = "FLOW_COSMOS"
	Flux       ModelType = "FLUX"
	// LCM is a distilled model that knows every twentieth level and mixes its output with its input.
	LCM ModelType = "LCM"
	// X0 predicts the clean latent, ImgToImg also, for a network that reads the unscaled noisy latent.
	X0       ModelType = "X0"
	ImgToImg ModelType = "IMG_TO_IMG"
	// ImgToImgFlow goes from one image to another without noise.
	ImgToImgFlow ModelType = "IMG_TO_IMG_FLOW"
	// EDMEPS has the levels of EDM and noise as output.
	EDMEPS ModelType = "EDM_EPS"
)

// Settings are what a checkpoint or a node may change about a model type; zero means the type's own value.
type Settings struct {
	BetaSchedule           string // "linear" (Stable Diffusion's, linear in the square root), "sqrt_linear", "sqrt"
	LinearStart, LinearEnd float64
	Timesteps              int
	ZSNR                   bool // betas rescaled so that the highest level is nearly pure noise
	SigmaMin, SigmaMax     float64
	SigmaData              float64
	Shift                  float64
	Multiplier             float64
	NoiseScale             float64
	AudioShift             float64 // of the parts after the first of nested latents; see ModelSampling.Carried
}

// Carried is the factor at which samplers carry the parts of a nested latent after the first, 1 for most models. It maps a flow with a shift of
// its own to the flow of the first part: with levels v of the first part and a of the others, v/a times the noisy latent of a part is the noisy
// latent at v of Carried times the clean one. Upstream: ModelSamplingAV.audio_scale.
func (m *ModelSampling) Carried() float32 {
	if m.settings.AudioShift == 0 {
		return 1
	}
	return float32(or(m.settings.Shift, 1) / m.settings.AudioShift)
}

func or(v, fallback float64) float64 {
	if v == 0 {
		return fallback
	}
	return v
}

// NewModelSampling returns the sampling of a model type. It fails for a type or beta schedule it does not know.
func NewModelSampling(t ModelType, s Settings) (*ModelSampling, error) {
	levels, err := levelsOf(t, s)
	if err != nil {
		return nil, err
	}
	return &ModelSampling{levels, predictionOf(t, s, levels), t, s}, nil
}

func levelsOf(t ModelType, s Settings) (Levels, error) {
	switch t {
	case EPS, VPrediction, VPredictionDDPM, X0, ImgToImg, ImgToImgFlow:
		return newDiscrete(s)
	case LCM:
		return newDistilled(s)
	case VPredictionEDM, EDM, EDMEPS, VPredictionContinuous, FlowCosmos:
		e, err := newEDM(s)
		switch t {
		case VPredictionContinuous:
			return continuousV{e}, err
		case FlowCosmos:
			return ratioFlowLevels{e}, err
		}
		return e, err
	case StableCascade:
		return newCosine(or(s.Shift, 1)), nil
	case Flow, FlowAV:
		return newFlow(s), nil
	case Flux:
		return newExponentialFlow(or(s.Shift, 1.15)), nil
	}
	return nil, fmt.Errorf("choosing a model sampling: unknown model type %q", t)
}

func predictionOf(t ModelType, s Settings, levels Levels) Prediction {
	spread, edm := variance{data: 1}, variance{data: float32(or(s.SigmaData, 1))}
	switch t {
	case VPrediction:
		return vPrediction{spread, -1}
	case VPredictionDDPM:
		return ddpmPrediction{spread}
	case VPredictionEDM, VPredictionContinuous:
		return vPrediction{edm, -1}
	case EDM:
		return vPrediction{edm, 1}
	case FlowCosmos:
		return ratioFlowPrediction{edm}
	case Flow, FlowAV:
		return flowPrediction{float32(or(s.NoiseScale, 1))}
	case Flux:
		return flowPrediction{1}
	case LCM:
		return lcmPrediction{spread, levels}
	case X0:
		return cleanPrediction{spread}
	case ImgToImg:
		return imageInput{cleanPrediction{spread}}
	case ImgToImgFlow:
		return imageFlow{}
	}
	return epsPrediction{spread}
}

// FluxShift returns the sampling of Flux with a shift that may be zero.
func FluxShift(shift float64) *ModelSampling {
	return &ModelSampling{newExponentialFlow(shift), flowPrediction{1}, Flux, Settings{Shift: shift}}
}

// WithNoiseScale returns a rectified flow's sampling with another factor on the noise. It fails for other models.
func (m *ModelSampling) WithNoiseScale(scale float64) (*ModelSampling, error) {
	f, ok := m.Levels.(flowLevels)
	if !ok || !m.Flow() {
		return nil, fmt.Errorf("setting the noise scale: the model is no rectified flow with a shift")
	}
	s := m.settings
	s.NoiseScale = scale
	return &ModelSampling{f, flowPrediction{float32(scale)}, m.kind, s}, nil
}

// SigmaMin is the lowest level above zero.
func (m *ModelSampling) SigmaMin() float32 { return m.Sigmas()[0] }

// SigmaMax is the highest level.
func (m *ModelSampling) SigmaMax() float32 { return m.Sigmas()[len(m.Sigmas())-1] }

// everything is the level that means "from the start" for models without a fixed highest level.
const everything = 999999999.9

// discrete are levels taken from a table of betas: time is the index.
type discrete struct {
	sigmas, logs []float32
}

func newDiscrete(s Settings) (*discrete, error) {
	betas, err := betaSchedule(s)
	if err != nil {
		return nil, err
	}
	sigmas := make([]float64, len(betas))
	product := 1.0
	for i, b := range betas {
		product *= 1 - b
		sigmas[i] = math.Sqrt((1 - product) / product)
	}
	if s.ZSNR {
		sigmas = zeroTerminal(sigmas)
	}
	return discreteOf(sigmas), nil
}

func discreteOf(sigmas []float64) *discrete {
	d := &discrete{make([]float32, len(sigmas)), make([]float32, len(sigmas))}
	for i, s := range sigmas {
		d.sigmas[i], d.logs[i] = float32(s), float32(math.Log(s))
	}
	return d
}

// betaSchedule returns the variance added in each training step.
func betaSchedule(s Settings) ([]float64, error) {
	start, end := or(s.LinearStart, 0.00085), or(s.LinearEnd, 0.012)
	n := s.Timesteps
	if n == 0 {
		n = 1000
	}
	if n < 2 || n > 1<<20 {
		return nil, fmt.Errorf("making a beta schedule: %d timesteps", n)
	}
	var betas []float64
	switch s.BetaSchedule {
	case "", "linear":
		betas = linspace64(math.Sqrt(start), math.Sqrt(end), n)
		for i, b := range betas {
			betas[i] = b * b
		}
	case "sqrt_linear":
		betas = linspace64(start, end, n)
	case "sqrt":
		betas = linspace64(start, end, n)
		for i, b := range betas {
			betas[i] = math.Sqrt(b)
		}
	default:
		return nil, fmt.Errorf("making a beta schedule: unknown schedule %q", s.BetaSchedule)
	}
	return betas, nil
}

// zeroTerminal rescales levels so that the highest is nearly pure noise (Lin et al., "Common Diffusion Noise Schedules
// and Sample Steps are Flawed"). Upstream: rescale_zero_terminal_snr_sigmas.
func zeroTerminal(sigmas []float64) []float64 {
	roots := make([]float64, len(sigmas))
	for i, s := range sigmas {
		roots[i] = math.Sqrt(1 / (s*s + 1))
	}
	first, last := roots[0], roots[len(roots)-1]
	out := make([]float64, len(sigmas))
	for i, r := range roots {
		bar := (r - last) * (first / (first - last))
		bar *= bar
		if i == len(roots)-1 {
			bar = 4.8973451890853435e-08
		}
		out[i] = math.Sqrt((1 - bar) / bar)
	}
	return out
}

// Sigmas implements Levels.
func (d *discrete) Sigmas() []float32 { return d.sigmas }

// Timestep returns the index of the level nearest to sigma on the logarithmic scale.
func (d *discrete) Timestep(sigma float32) float32 {
	logSigma := log32(sigma)
	best, at := float32(math.Inf(1)), 0
	for i, l := range d.logs {
		if dist := abs32(logSigma - l); dist < best {
			best, at = dist, i
		}
	}
	return float32(at)
}

// Sigma interpolates between neighbouring levels on the logarithmic scale.
func (d *discrete) Sigma(timestep float32) float32 {
	t := min(max(timestep, 0), float32(len(d.sigmas)-1))
	low := int(t)
	high := int(math.Ceil(float64(t)))
	w := t - float32(low)
	return exp32(float32((1-w)*d.logs[low]) + float32(w*d.logs[high]))
}

// PercentToSigma implements Levels.
func (d *discrete) PercentToSigma(percent float64) float64 {
	if percent <= 0 {
		return everything
	}
	if percent >= 1 {
		return 0
	}
	return float64(d.Sigma(float32((1 - percent) * 999)))
}
