package sampling

import (
	"fmt"
	"math"
)

// edmLevels are continuous levels between two bounds, with a quarter of their logarithm as time (Karras et al., 2022).
type edmLevels struct {
	sigmas []float32
}

func newEDM(s Settings) (edmLevels, error) {
	low, high := or(s.SigmaMin, 0.002), or(s.SigmaMax, 120)
	if !(low > 0 && high > 0) {
		return edmLevels{}, fmt.Errorf("making sigmas: they must be above zero, got %g to %g", low, high)
	}
	sigmas := linspace(float32(math.Log(low)), float32(math.Log(high)), 1000)
	for i, l := range sigmas {
		sigmas[i] = exp32(l)
	}
	return edmLevels{sigmas}, nil
}

// Sigmas implements Levels.
func (e edmLevels) Sigmas() []float32 { return e.sigmas }

// Timestep implements Levels.
func (e edmLevels) Timestep(sigma float32) float32 { return 0.25 * log32(sigma) }

// Sigma implements Levels.
func (e edmLevels) Sigma(timestep float32) float32 { return exp32(timestep / 0.25) }

// PercentToSigma implements Levels.
func (e edmLevels) PercentToSigma(percent float64) float64 {
	if percent <= 0 {
		return everything
	}
	if percent >= 1 {
		return 0
	}
	low, high := math.Log(float64(e.sigmas[0])), math.Log(float64(e.sigmas[len(e.sigmas)-1]))
	return math.Exp((high-low)*(1-percent) + low)
}

// continuousV uses the angle of the level as time.
type continuousV struct{ edmLevels }

// Timestep implements Levels.
func (continuousV) Timestep(sigma float32) float32 {
	return float32(float32(math.Atan(float64(sigma)))/float32(math.Pi)) * 2
}

// Sigma implements Levels.
func (continuousV) Sigma(timestep float32) float32 {
	return tan32(float32(timestep*float32(math.Pi)) / 2)
}

// ratioFlowLevels uses the level of the straight line between latent and noise as time.
type ratioFlowLevels struct{ edmLevels }

// Timestep implements Levels.
func (ratioFlowLevels) Timestep(sigma float32) float32 { return sigma / (sigma + 1) }

// Sigma implements Levels.
func (c ratioFlowLevels) Sigma(timestep float32) float32 {
	top := c.sigmas[len(c.sigmas)-1]
	if timestep >= top/(top+1) {
		return top
	}
	return timestep / (1 - timestep)
}

// flowLevels are the levels of a rectified flow, shifted towards noise by a factor (Esser et al., 2024).
type flowLevels struct {
	shift, multiplier float64
	sigmas            []float32
}

func newFlow(s Settings) flowLevels {
	f := flowLevels{shift: or(s.Shift, 1), multiplier: or(s.Multiplier, 1000)}
	const n = 1000
	f.sigmas = make([]float32, n)
	for i := range f.sigmas {
		f.sigmas[i] = f.Sigma(float32(i+1) / n * float32(f.multiplier))
	}
	return f
}

// Sigmas implements Levels.
func (f flowLevels) Sigmas() []float32 { return f.sigmas }

// Timestep implements Levels.
func (f flowLevels) Timestep(sigma float32) float32 { return sigma * float32(f.multiplier) }

// Sigma implements Levels.
func (f flowLevels) Sigma(timestep float32) float32 {
	t := timestep / float32(f.multiplier)
	if f.shift == 1 {
		return t
	}
	return float32(float32(f.shift)*t) / (1 + float32(float32(f.shift-1)*t))
}

// PercentToSigma implements Levels.
func (f flowLevels) PercentToSigma(percent float64) float64 {
	if percent <= 0 {
		return 1
	}
	if percent >= 1 {
		return 0
	}
	t := 1 - percent
	if f.shift == 1 {
		return t
	}
	return f.shift * t / (1 + (f.shift-1)*t)
}

// exponentialFlowLevels are the levels of Flux: a flow whose shift grows with the exponential of its parameter.
type exponentialFlowLevels struct {
	shift  float64
	sigmas []float32
}

func newExponentialFlow(shift float64) exponentialFlowLevels {
	f := exponentialFlowLevels{shift: shift}
	const n = 10000
	f.sigmas = make([]float32, n)
	for i := range f.sigmas {
		f.sigmas[i] = f.Sigma(float32(i+1) / n)
	}
	return f
}

// Sigmas implements Levels.
func (f exponentialFlowLevels) Sigmas() []float32 { return f.sigmas }

// Timestep implements Levels.
func (f exponentialFlowLevels) Timestep(sigma float32) float32 { return sigma }

// Sigma implements Levels.
func (f exponentialFlowLevels) Sigma(timestep float32) float32 {
	e := float32(math.Exp(f.shift))
	return e / (e + (1/timestep - 1))
}

// PercentToSigma implements Levels.
func (f exponentialFlowLevels) PercentToSigma(percent float64) float64 {
	if percent <= 0 {
		return 1
	}
	if percent >= 1 {
		return 0
	}
	e := math.Exp(f.shift)
	return e / (e + (1/(1-percent) - 1))
}

// cosineLevels are the cosine levels of Stable Cascade, time running from 0 to 1.
type cosineLevels struct {
	shift  float64
	sigmas []float32
}

const cosineS float32 = 8e-3

func cosineAngle(t float32) float32 {
	c := float32(math.Cos(float64(float32(float32((t+cosineS)/(1+cosineS))*float32(math.Pi)) * 0.5)))
	return c * c
}

func newCosine(shift float64) *cosineLevels {
	c := &cosineLevels{shift: shift}
	const n = 10000
	c.sigmas = make([]float32, n)
	for i := range c.sigmas {
		c.sigmas[i] = c.Sigma(float32(float64(i+1) / n))
	}
	return c
}

// Sigmas implements Levels.
func (c *cosineLevels) Sigmas() []float32 { return c.sigmas }

// Sigma implements Levels.
func (c *cosineLevels) Sigma(timestep float32) float32 {
	bar := cosineAngle(timestep) / cosineAngle(0)
	if c.shift != 1 {
		snr := log32(bar/(1-bar)) + 2*log32(float32(1/c.shift))
		bar = float32(1 / (1 + math.Exp(-float64(snr))))
	}
	bar = min(max(bar, 0.0001), 0.9999)
	return sqrt32((1 - bar) / bar)
}

// Timestep implements Levels.
func (c *cosineLevels) Timestep(sigma float32) float32 {
	v := min(max(1/(sigma*sigma+1), 0), 1)
	angle := float32(math.Acos(float64(sqrt32(v * cosineAngle(0)))))
	return angle/float32(math.Pi*0.5)*(1+cosineS) - cosineS
}

// PercentToSigma implements Levels.
func (c *cosineLevels) PercentToSigma(percent float64) float64 {
	if percent <= 0 {
		return everything
	}
	if percent >= 1 {
		return 0
	}
	return float64(c.Sigma(float32(1 - percent)))
}
