package sampling

import (
	"math"

	"comfygo/engine/tensor"
)

// Prediction is a prediction type: the meaning of a network's output and the mix of noise and latent at a sigma. Upstream:
// the classes EPS, V_PREDICTION, EDM, CONST, … of comfy.model_sampling.
type Prediction interface {
	// Input returns the network's input for the noisy latent x.
	Input(sigma float32, x *tensor.Tensor) *tensor.Tensor
	// Denoised returns the clean latent that the network's output means for the noisy latent x.
	Denoised(sigma float32, output, x *tensor.Tensor) *tensor.Tensor
	// AddNoise returns the latent with noise of level sigma; maxDenoise marks a start at the highest level.
	AddNoise(sigma float32, noise, latent *tensor.Tensor, maxDenoise bool) *tensor.Tensor
	// Finish undoes the scaling that is left in a latent at the last level.
	Finish(sigma float32, x *tensor.Tensor) *tensor.Tensor
	// Flow reports that latent and noise mix along a straight line, so sigma runs from 0 to 1.
	Flow() bool
	// NoiseScale is the factor on the noise that samplers add; 1 for all but some flow models.
	NoiseScale() float32
}

// variance is the part that all predictions with growing variance share: x = latent + sigma*noise.
type variance struct {
	data float32 // the standard deviation of the training data
}

func (v variance) deviation(sigma float32) float32 { return sqrt32(sigma*sigma + v.data*v.data) }

// Input implements Prediction.
func (v variance) Input(sigma float32, x *tensor.Tensor) *tensor.Tensor {
	return quotient(x, v.deviation(sigma))
}

// AddNoise implements Prediction.
func (variance) AddNoise(sigma float32, noise, latent *tensor.Tensor, maxDenoise bool) *tensor.Tensor {
	scale := sigma
	if maxDenoise {
		scale = sqrt32(1 + sigma*sigma)
	}
	return sum(term{scale, noise}, term{1, latent})
}

// Finish implements Prediction.
func (variance) Finish(_ float32, x *tensor.Tensor) *tensor.Tensor { return x }

// Flow implements Prediction.
func (variance) Flow() bool { return false }

// NoiseScale implements Prediction.
func (variance) NoiseScale() float32 { return 1 }

// epsPrediction: the output is the noise.
type epsPrediction struct{ variance }

// Denoised implements Prediction.
func (epsPrediction) Denoised(sigma float32, output, x *tensor.Tensor) *tensor.Tensor {
	return sum(term{1, x}, term{-sigma, output})
}

// vPrediction: the output is the velocity of Salimans and Ho (2022). With sign +1 it is the form of Karras et al. (EDM).
type vPrediction struct {
	variance
	sign float32
}

// Denoised implements Prediction.
func (v vPrediction) Denoised(sigma float32, output, x *tensor.Tensor) *tensor.Tensor {
	d2 := v.data * v.data
	den := sigma*sigma + d2
	root := sqrt32(den)
	return zip(x, output, func(a, o float32) float32 {
		return float32(float32(a*d2)/den) + v.sign*(float32(float32(o*sigma)*v.data)/root)
	})
}

// ddpmPrediction is the velocity for a network that reads the unscaled noisy latent (CogVideoX).
type ddpmPrediction struct{ variance }

// Input implements Prediction.
func (ddpmPrediction) Input(_ float32, x *tensor.Tensor) *tensor.Tensor { return x }

// Denoised implements Prediction.
func (p ddpmPrediction) Denoised(sigma float32, output, x *tensor.Tensor) *tensor.Tensor {
	root := p.deviation(sigma)
	return zip(x, output, func(a, o float32) float32 { return a/root - float32(o*sigma)/root })
}

// ratioFlowPrediction is the rectified flow of Cosmos in terms of growing variance: sigma/(1+sigma) is the flow's own level.
type ratioFlowPrediction struct{ variance }

// Input implements Prediction.
func (ratioFlowPrediction) Input(sigma float32, x *tensor.Tensor) *tensor.Tensor {
	s := 1 - sigma/(sigma+1)
	return apply(x, func(a float32) float32 { return a * s })
}

// Denoised implements Prediction.
func (ratioFlowPrediction) Denoised(sigma float32, output, x *tensor.Tensor) *tensor.Tensor {
	s := sigma / (sigma + 1)
	return sum(term{1 - s, x}, term{-s, output})
}

// AddNoise implements Prediction.
func (ratioFlowPrediction) AddNoise(sigma float32, noise, latent *tensor.Tensor, _ bool) *tensor.Tensor {
	return sum(term{sigma, noise}, term{1, latent})
}

// flowPrediction: the output is the velocity of a rectified flow (Liu et al., 2022), x = (1-sigma)*latent + sigma*noise.
type flowPrediction struct {
	noiseScale float32
}

// Input implements Prediction.
func (flowPrediction) Input(_ float32, x *tensor.Tensor) *tensor.Tensor { return x }

// Denoised implements Prediction.
func (flowPrediction) Denoised(sigma float32, output, x *tensor.Tensor) *tensor.Tensor {
	return sum(term{1, x}, term{-sigma, output})
}

// AddNoise implements Prediction.
func (p flowPrediction) AddNoise(sigma float32, noise, latent *tensor.Tensor, _ bool) *tensor.Tensor {
	return zip(noise, latent, func(n, l float32) float32 {
		return float32(sigma*float32(p.noiseScale*n)) + float32((1-sigma)*l)
	})
}

// Finish implements Prediction.
func (flowPrediction) Finish(sigma float32, x *tensor.Tensor) *tensor.Tensor {
	d := 1 - sigma
	return apply(x, func(a float32) float32 { return a / d })
}

// Flow implements Prediction.
func (flowPrediction) Flow() bool { return true }

// NoiseScale implements Prediction.
func (p flowPrediction) NoiseScale() float32 { return p.noiseScale }

// maxDenoise reports whether a schedule starts at the highest level of the model.
func (m *ModelSampling) maxDenoise(sigmas []float32) bool {
	top, first := float64(m.SigmaMax()), float64(sigmas[0])
	return closeTo(top, first, 1e-5, 0) || first > top
}

// halfLogSNR is log(alpha/sigma) of a level.
func (m *ModelSampling) halfLogSNR(sigma float32) float32 {
	if m.Flow() {
		return -float32(math.Log(float64(sigma) / (1 - float64(sigma))))
	}
	return -log32(sigma)
}

// sigmaOf is the inverse of halfLogSNR.
func (m *ModelSampling) sigmaOf(halfLogSNR float32) float32 {
	if m.Flow() {
		return float32(1 / (1 + math.Exp(float64(halfLogSNR))))
	}
	return exp32(-halfLogSNR)
}

// offsetFirst returns the schedule with a flow's first level moved a little below 1, where log(alpha/sigma) is finite.
func (m *ModelSampling) offsetFirst(sigmas []float32) []float32 {
	if len(sigmas) <= 1 || !m.Flow() || sigmas[0] < 1 {
		return sigmas
	}
	out := append([]float32(nil), sigmas...)
	out[0] = float32(m.PercentToSigma(1e-4))
	return out
}
