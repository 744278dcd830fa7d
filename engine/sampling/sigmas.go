package sampling

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
)

// The functions of this file create and change lists of levels, as the nodes for SIGMAS do.

func checkSteps(name string, steps int, positive ...float64) error {
	if steps < 1 || steps > maxSteps {
		return fmt.Errorf("making the %s schedule: %d steps", name, steps)
	}
	for _, v := range positive {
		if !(v > 0) {
			return fmt.Errorf("making the %s schedule: its levels and their power must be above 0, got %g", name, v)
		}
	}
	return nil
}

// KarrasSigmas is evenly spaced in the rho-th root between two levels (Karras et al., 2022), with a zero at the end.
func KarrasSigmas(steps int, high, low, rho float64) ([]float32, error) {
	if err := checkSteps("karras", steps, rho); err != nil {
		return nil, err
	}
	a, b := math.Pow(low, 1/rho), math.Pow(high, 1/rho)
	out := linspace(0, 1, steps)
	for i, r := range out {
		out[i] = pow32(float32(b)+float32(r*float32(a-b)), float32(rho))
	}
	return append(out, 0), nil
}

// ExponentialSigmas is evenly spaced in the logarithm between two levels, with a zero at the end.
func ExponentialSigmas(steps int, high, low float64) ([]float32, error) {
	if err := checkSteps("exponential", steps, high, low); err != nil {
		return nil, err
	}
	out := linspace(float32(math.Log(high)), float32(math.Log(low)), steps)
	for i, l := range out {
		out[i] = exp32(l)
	}
	return append(out, 0), nil
}

// PolyexponentialSigmas is a polynomial of degree rho in the logarithm, with a zero at the end.
func PolyexponentialSigmas(steps int, high, low, rho float64) ([]float32, error) {
	if err := checkSteps("polyexponential", steps, high, low); err != nil {
		return nil, err
	}
	span, base := float32(math.Log(high)-math.Log(low)), float32(math.Log(low))
	out := linspace(1, 0, steps)
	for i, r := range out {
		out[i] = exp32(float32(pow32(r, float32(rho))*span) + base)
	}
	return append(out, 0), nil
}

// LaplaceSigmas puts the levels at the quantiles of a Laplace distribution of their logarithm (Hang et al., arXiv 2407.03297).
// There is no zero at the end.
func LaplaceSigmas(steps int, high, low, mu, beta float64) ([]float32, error) {
	if err := checkSteps("laplace", steps); err != nil {
		return nil, err
	}
	const epsilon = 1e-5 // keeps the logarithm finite
	out := linspace(0, 1, steps)
	for i, x := range out {
		d := 0.5 - x
		sign := float32(0)
		if d > 0 {
			sign = 1
		} else if d < 0 {
			sign = -1
		}
		l := float32(mu) - float32(float32(float32(beta)*sign)*log32(1-2*abs32(d)+epsilon))
		out[i] = min(max(exp32(l), float32(low)), float32(high))
	}
	return out, nil
}

// VPSigmas are the levels of a process of constant variance whose beta rises linearly (Song et al., arXiv 2011.13456), with a
// zero at the end.
func VPSigmas(steps int, betaD, betaMin, epsilon float64) ([]float32, error) {
	if err := checkSteps("vp", steps); err != nil {
		return nil, err
	}
	out := linspace(1, float32(epsilon), steps)
	for i, t := range out {
		out[i] = sqrt32(expm132(float32(float32(betaD)*float32(t*t))/2 + float32(float32(betaMin)*t)))
	}
	return append(out, 0), nil
}

// BetaSigmas puts the steps at the quantiles of a beta distribution (arXiv 2407.12173) over the model's levels.
func BetaSigmas(m *ModelSampling, steps int, alpha, beta float64) ([]float32, error) {
	if err := checkSteps("beta", steps, alpha, beta); err != nil {
		return nil, err
	}
	sigmas := m.Sigmas()
	quantiles := make([]float64, steps)
	for i := range quantiles {
		quantiles[i] = 1 - float64(i)*(1/float64(steps))
	}
	out := make([]float32, 0, min(steps, len(sigmas))+1)
	last := -1
	for _, at := range betaRanks(quantiles, alpha, beta, len(sigmas)-1) {
		if at != last {
			out = append(out, sigmas[at])
		}
		last = at
	}
	return append(out, 0), nil
}

// BasicSigmas are the last steps of a scheduler's levels for steps/denoise steps; none for a denoise of 0. Upstream:
// BasicScheduler.
func BasicSigmas(m *ModelSampling, scheduler string, steps int, denoise float64) ([]float32, error) {
	total := steps
	if denoise < 1 {
		if denoise <= 0 {
			return nil, nil
		}
		long := float64(steps) / denoise
		if long > maxSteps {
			return nil, fmt.Errorf("making a schedule: %d steps at a denoise of %g need %.0f levels, more than %d", steps, denoise, long, maxSteps)
		}
		total = int(long)
	}
	sigmas, err := Schedule(m, scheduler, total)
	if err != nil {
		return nil, err
	}
	return sigmas[max(len(sigmas)-(steps+1), 0):], nil
}

// SDTurboSigmas are the levels that SD Turbo was distilled at: every hundredth time, from the share denoise on.
func SDTurboSigmas(m *ModelSampling, steps int, denoise float64) ([]float32, error) {
	if err := checkSteps("sd turbo", steps); err != nil {
		return nil, err
	}
	const known = 10
	start := min(max(known-int(known*denoise), 0), known)
	var out []float32
	for i := start; i < min(start+steps, known); i++ {
		out = append(out, m.Sigma(float32((known-i)*100-1)))
	}
	return append(out, 0), nil
}

// SplitSigmas returns the levels up to a step and from it on.
func SplitSigmas(sigmas []float32, step int) (high, low []float32) {
	return slices.Clone(sigmas[:min(max(step, 0)+1, len(sigmas))]), slices.Clone(sigmas[min(max(step, 0), len(sigmas)):])
}

// SplitSigmasDenoise splits so that the second part is the share denoise of the steps.
func SplitSigmasDenoise(sigmas []float32, denoise float64) (high, low []float32) {
	const most = math.MaxInt32
	total := int(math.RoundToEven(min(max(float64(max(len(sigmas)-1, 0))*denoise, -most), most)))
	if total > 0 {
		high = slices.Clone(sigmas[:max(len(sigmas)-total, 0)])
	}
	return high, slices.Clone(sigmas[min(max(len(sigmas)-(total+1), 0), len(sigmas)):])
}

// FlipSigmas returns the levels in reverse; a first one of zero becomes 0.0001.
func FlipSigmas(sigmas []float32) []float32 {
	out := slices.Clone(sigmas)
	slices.Reverse(out)
	if len(out) > 0 && out[0] == 0 {
		out[0] = 0.0001
	}
	return out
}

// ExtendSigmas puts steps-1 levels between those neighbours whose first one lies from end up to start; a negative start means
// no bound. spacing is "linear", "cosine" or "sine".
func ExtendSigmas(sigmas []float32, steps int, start, end float64, spacing string) ([]float32, error) {
	if start < 0 {
		start = math.Inf(1)
	}
	shares := linspace(0, 1, max(steps, 1)+1)
	shares = shares[1 : len(shares)-1]
	for i, x := range shares {
		angle := float32(x*float32(math.Pi)) / 2
		switch spacing {
		case "linear":
		case "cosine":
			shares[i] = float32(math.Sin(float64(angle)))
		case "sine":
			shares[i] = 1 - float32(math.Cos(float64(angle)))
		default:
			return nil, fmt.Errorf("extending a schedule: unknown spacing %q", spacing)
		}
	}
	var out []float32
	for i, s := range sigmas {
		out = append(out, s)
		if i+1 < len(sigmas) && float64(s) >= end && float64(s) <= start {
			for _, x := range shares {
				out = append(out, float32(x*(sigmas[i+1]-s))+s)
			}
		}
	}
	return out, nil
}

// number is what ManualSigmas takes for a level.
var number = regexp.MustCompile(`[-+]?(?:\d*\.*\d+)`)

// ManualSigmas reads the numbers in a text.
func ManualSigmas(text string) ([]float32, error) {
	var out []float32
	for _, word := range number.FindAllString(text, maxManual+1) {
		v, err := strconv.ParseFloat(word, 64)
		if err != nil {
			return nil, fmt.Errorf("reading levels: %q is no number", word)
		}
		out = append(out, float32(v))
	}
	if len(out) > maxManual {
		return nil, fmt.Errorf("reading levels: more than %d numbers", maxManual)
	}
	return out, nil
}

// maxManual bounds the levels that are written by hand.
const maxManual = 1 << 16
