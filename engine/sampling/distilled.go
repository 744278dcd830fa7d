package sampling

import (
	"math"

	"comfygo/engine/tensor"
)

// distilledLevels are the fifty levels, every twentieth of a thousand, that a latent consistency model was distilled at
// (Luo et al., "Latent Consistency Models"). Upstream: ModelSamplingDiscreteDistilled.
type distilledLevels struct {
	*discrete
	skip int
}

const distilledSteps = 50

func newDistilled(s Settings) (distilledLevels, error) {
	full, err := newDiscrete(s)
	if err != nil {
		return distilledLevels{}, err
	}
	n := min(distilledSteps, len(full.sigmas))
	d := distilledLevels{&discrete{make([]float32, n), make([]float32, n)}, len(full.sigmas) / n}
	for i := range n {
		sigma := full.sigmas[len(full.sigmas)-1-i*d.skip]
		d.sigmas[n-1-i], d.logs[n-1-i] = sigma, log32(sigma)
	}
	return d, nil
}

// Timestep returns the time of the level nearest to sigma on the logarithmic scale. Schedules of few steps hit the middle
// between two levels, where the last bit of a logarithm would decide: the lower one is taken there, as upstream does with torch's
// logarithms.
func (d distilledLevels) Timestep(sigma float32) float32 {
	const close = 1e-6
	logSigma := log32(sigma)
	best, at := float32(math.Inf(1)), 0
	for i, l := range d.logs {
		if dist := abs32(logSigma - l); dist < best-close {
			best, at = dist, i
		}
	}
	return float32(at)*float32(d.skip) + float32(d.skip-1)
}

// Sigma implements Levels.
func (d distilledLevels) Sigma(timestep float32) float32 {
	return d.discrete.Sigma((timestep - float32(d.skip-1)) / float32(d.skip))
}

// PercentToSigma implements Levels.
func (d distilledLevels) PercentToSigma(percent float64) float64 {
	if percent <= 0 {
		return everything
	}
	if percent >= 1 {
		return 0
	}
	return float64(d.Sigma(float32((1 - percent) * 999)))
}

// lcmPrediction: the output is the noise, and the clean latent is mixed with the noisy one so that nothing changes at time 0.
type lcmPrediction struct {
	variance
	levels Levels
}

// Denoised implements Prediction.
func (p lcmPrediction) Denoised(sigma float32, output, x *tensor.Tensor) *tensor.Tensor {
	const data, timeScale = 0.5, 10
	t := p.levels.Timestep(sigma) * timeScale
	den := float32(t*t) + data*data
	skip, out := data*data/den, t/float32(math.Sqrt(float64(den)))
	return zip(x, output, func(a, o float32) float32 {
		return float32(out*(a-float32(o*sigma))) + float32(skip*a)
	})
}

// cleanPrediction: the output is the clean latent itself.
type cleanPrediction struct{ variance }

// Denoised implements Prediction.
func (cleanPrediction) Denoised(_ float32, output, _ *tensor.Tensor) *tensor.Tensor { return output }

// imageInput is cleanPrediction for a network that reads the unscaled latent.
type imageInput struct{ cleanPrediction }

// Input implements Prediction.
func (imageInput) Input(_ float32, x *tensor.Tensor) *tensor.Tensor { return x }

// imageFlow is a flow from one image to its counterpart: no noise is added, and the output is the clean latent.
type imageFlow struct{ flowPrediction }

// Denoised implements Prediction.
func (imageFlow) Denoised(_ float32, output, _ *tensor.Tensor) *tensor.Tensor { return output }

// AddNoise implements Prediction.
func (imageFlow) AddNoise(_ float32, _, latent *tensor.Tensor, _ bool) *tensor.Tensor {
	return latent
}

// Finish implements Prediction.
func (imageFlow) Finish(_ float32, x *tensor.Tensor) *tensor.Tensor {
	return apply(x, func(a float32) float32 { return 1 - a })
}

// NoiseScale implements Prediction.
func (imageFlow) NoiseScale() float32 { return 1 }
