package sampling

import (
	"context"
	"math"

	"comfygo/engine/tensor"
)

// sampleDEIS is the exponential integrator of order 3 with tabulated coefficients (Zhang and Chen, "Fast Sampling of
// Diffusion Models with Exponential Integrator"), in the form of zju-pi's diff-sampler.
func sampleDEIS(ctx context.Context, r *Run) (*tensor.Tensor, error) {
	table := newDEISTable(r.Sigmas)
	return r.slopeMultistep(ctx, 3, true, func(i, order int) []float32 {
		if order == 1 {
			return []float32{r.Sigmas[i+1] - r.Sigmas[i]}
		}
		return table.coefficients(i, order)
	})
}

// deisTable holds a schedule in the time of a variance-preserving process whose beta rises linearly.
type deisTable struct {
	times        []float32
	beta0, beta1 float32
}

func newDEISTable(sigmas []float32) deisTable {
	const epsilon, low, high = 1e-3, 0.002, 80
	lowLog := log32(float32(low)*float32(low) + 1)
	highLog := log32(float32(high)*float32(high) + 1)
	betaD := 2 * (lowLog/epsilon - highLog) / (epsilon - 1)
	betaMin := highLog - 0.5*betaD
	t := deisTable{times: make([]float32, len(sigmas)), beta0: betaMin, beta1: betaD + betaMin}
	for i, s := range sigmas {
		t.times[i] = (sqrt32(betaMin*betaMin+2*betaD*log32(s*s+1)) - betaMin) / betaD
	}
	return t
}

// coefficients integrates the Lagrange polynomials of the latest times over step i.
func (t deisTable) coefficients(i, order int) []float32 {
	const points = 10000
	from, to := t.times[i], t.times[i+1]
	sums := make([]float64, order)
	for _, tau := range linspace(from, to, points) {
		w := t.integrand(tau)
		for j := range sums {
			p := float32(1)
			for k := range order {
				if k != j {
					p *= (tau - t.times[i-k]) / (t.times[i-j] - t.times[i-k])
				}
			}
			sums[j] += float64(w * p)
		}
	}
	out := make([]float32, order)
	for j, s := range sums {
		out[j] = float32(s) * ((to - from) / points)
	}
	return out
}

// integrand is the weight of the noise prediction at a time, in float32 as the original: near time 0 its rounding shows.
func (t deisTable) integrand(tau float32) float32 {
	rise := t.beta1 - t.beta0
	alpha := float32(math.Exp(float64(float32(-0.5*(tau*tau)*rise) - float32(tau*t.beta0))))
	slope := -tau*rise - t.beta0
	return -0.5 * slope / sqrt32(alpha*(1-alpha))
}
