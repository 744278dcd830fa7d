package sampling

import (
	"fmt"
	"math"
)

// The functions of this file return the levels of specific families of rectified flows.

// TokenShift returns the shift of a flow for a latent of a number of tokens: base for 1024 of them, most for 4096, and on the line
// through both for others. Upstream: LTXVScheduler and ModelSamplingLTXV.
func TokenShift(base, most float64, tokens int) float64 {
	const few, many = 1024, 4096
	slope := (most - base) / (many - few)
	return float64(tokens)*slope + (base - slope*few)
}

// LTXVSigmas shifts evenly spaced levels by exp(shift). With stretch, the last one above zero becomes terminal; a single step
// that is at 1 cannot be stretched. Upstream: LTXVScheduler, whose level is NaN then.
func LTXVSigmas(steps int, shift float64, stretch bool, terminal float64) ([]float32, error) {
	if err := checkSteps("LTXV", steps); err != nil {
		return nil, err
	}
	if stretch && terminal >= 1 {
		return nil, fmt.Errorf("making the LTXV schedule: its terminal level is %g, not below 1", terminal)
	}
	out := shiftedSigmas(steps, shift)
	if !stretch {
		return out, nil
	}
	scale := (1 - out[steps-1]) / float32(1-terminal)
	if !(scale > 0) {
		return nil, fmt.Errorf("making the LTXV schedule: its last level above zero is %g, which cannot be stretched to %g", out[steps-1], terminal)
	}
	for i := range steps {
		out[i] = 1 - (1-out[i])/scale
	}
	return out, nil
}

// Flux2Sigmas shifts evenly spaced levels by an empirical value for images of width by height pixels and a number of steps.
// Upstream: Flux2Scheduler.
func Flux2Sigmas(steps, width, height int) ([]float32, error) {
	if err := checkSteps("Flux 2", steps); err != nil {
		return nil, err
	}
	tokens := math.RoundToEven(float64(width*height) / (16 * 16))
	mu := 0.00016927*tokens + 0.45666666
	if tokens <= 4300 {
		atTen := 8.73809524e-05*tokens + 1.89833333
		slope := (mu - atTen) / 190
		mu = slope*float64(steps) + (mu - 200*slope)
	}
	return shiftedSigmas(steps, mu), nil
}

// shiftedSigmas returns evenly spaced levels from 1 to 0, shifted by exp(mu).
func shiftedSigmas(steps int, mu float64) []float32 {
	out := linspace(1, 0, steps+1)
	top := float32(math.Exp(mu))
	for i, t := range out {
		if t != 0 {
			out[i] = 1 / (top + (1/t - 1)) * top // in torch's two steps
		}
	}
	return out
}

// Ideogram4Sigmas is even in the probability of a normal distribution of the logarithm of signal to noise, whose mean mu is that of
// images of 512 by 512 pixels. Upstream: Ideogram4Scheduler.
func Ideogram4Sigmas(steps, width, height int, mu, deviation float64) ([]float32, error) {
	if err := checkSteps("Ideogram 4", steps); err != nil {
		return nil, err
	}
	if width < 1 || height < 1 {
		return nil, fmt.Errorf("making the Ideogram 4 schedule: an image of %d by %d", width, height)
	}
	const lowest, highest = -15.0, 18.0 // logarithms of signal to noise
	least, most := 1/(1+math.Exp(0.5*highest)), 1/(1+math.Exp(0.5*lowest))
	mean := mu + 0.5*math.Log(float64(width*height)/(512*512))
	out := make([]float32, steps+1)
	for i, u := range linspace64(0, 1, steps+1) {
		quantile := math.Sqrt2 * math.Erfinv(2*u-1)
		t := 1 - 1/(1+math.Exp(-(mean+deviation*quantile)))
		out[steps-i] = float32(1 - min(max(t, least), most))
	}
	out[steps] = 0
	return out, nil
}
