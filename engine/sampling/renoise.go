package sampling

import (
	"context"
	"fmt"
	"math"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
)

// sampleDDPM takes the steps of the original diffusion process (Ho et al., "Denoising Diffusion Probabilistic Models").
func sampleDDPM(ctx context.Context, r *Run) (*tensor.Tensor, error) {
	x, noise := r.X, r.fresh()
	for i := range len(r.Sigmas) - 1 {
		denoised, err := r.predict(ctx, i, x)
		if err != nil {
			return nil, err
		}
		from, to := r.Sigmas[i], r.Sigmas[i+1]
		eps := slope(x, from, denoised)
		bar, barNext := 1/(from*from+1), 1/(to*to+1)
		alpha := bar / barNext
		scale := sqrt32(1 / alpha)
		x = sum(term{scale / sqrt32(1+from*from), x}, term{-(scale * (1 - alpha) / sqrt32(1-bar)), eps})
		if to > 0 {
			up := sqrt32((1 - alpha) * (1 - barNext) / (1 - bar))
			grow := sqrt32(1 + to*to)
			x = sum(term{grow, x}, term{grow * up, noise(from, to)})
		}
	}
	return x, nil
}

// sampleLCM adds all new noise to each prediction (Luo et al., "Latent Consistency Models"). The noise is multiplied by
// first in the first step, by last in the last one and by interpolated factors in the others, after being cut at clip times
// its standard deviation unless clip is 0.
func sampleLCM(first, last, clip float64) samplerFunc {
	return func(ctx context.Context, r *Run) (*tensor.Tensor, error) {
		x, source := r.X, r.fresh()
		steps := len(r.Sigmas) - 1
		for i := range steps {
			denoised, err := r.predict(ctx, i, x)
			if err != nil {
				return nil, err
			}
			x = denoised
			to := r.Sigmas[i+1]
			if to <= 0 {
				continue
			}
			noise := source(r.Sigmas[i], to)
			if clip > 0 {
				limit := float32(clip) * deviationOf(noise.Data)
				noise = apply(noise, func(v float32) float32 { return min(max(v, -limit), limit) })
			}
			if strength := first + (last-first)*share(i, steps-1); strength != 1 {
				noise = sum(term{float32(strength), noise})
			}
			x = r.Model.AddNoise(to, noise, x, false)
		}
		return x, nil
	}
}

// share returns i/n, 0 when n is 0.
func share(i, n int) float64 {
	if n == 0 {
		return 0
	}
	return float64(i) / float64(n)
}

// deviationOf returns the standard deviation of values as a sample.
func deviationOf(values []float32) float32 {
	mean, square := 0.0, 0.0
	for _, v := range values {
		mean += float64(v)
	}
	mean /= float64(len(values))
	for _, v := range values {
		d := float64(v) - mean
		square += d * d
	}
	return float32(math.Sqrt(square / float64(len(values)-1)))
}

// sampleLCMUpscale is sampleLCM that enlarges the latent by equal shares of ratio-1 after each of its first steps; a
// negative number means half of all.
func sampleLCMUpscale(ratio float64, steps int, method string) samplerFunc {
	return func(ctx context.Context, r *Run) (*tensor.Tensor, error) {
		x, n := r.X, min(steps, len(r.Sigmas))
		if steps < 0 {
			n = max(len(r.Sigmas)/2+1, 2) - 1
		}
		shape := r.X.Shape
		for i := range len(r.Sigmas) - 1 {
			denoised, err := r.predict(ctx, i, x)
			if err != nil {
				return nil, err
			}
			x = denoised
			if i < n {
				factor := 1 + float64(i+1)*((ratio-1)/float64(n))
				size := func(side int) int { return int(math.RoundToEven(float64(shape[len(shape)-side]) * factor)) }
				if x, err = imaging.Upscale(x, size(1), size(2), method, "disabled"); err != nil {
					return nil, fmt.Errorf("sampling with SamplerLCMUpscale: %w", err)
				}
			}
			if to := r.Sigmas[i+1]; to > 0 {
				noise := like(x)
				r.Generator.Randn(noise.Data)
				x = sum(term{1, x}, term{to, noise})
			}
		}
		return x, nil
	}
}

// sampleGradientEstimation extrapolates each step's slope from the last one (arXiv 2306.04848), with or without CFG++.
func sampleGradientEstimation(cfgpp bool) samplerFunc {
	const gamma = 2
	return func(ctx context.Context, r *Run) (*tensor.Tensor, error) {
		x := r.X
		var old *tensor.Tensor
		for i := range len(r.Sigmas) - 1 {
			denoised, err := r.predict(ctx, i, x)
			if err != nil {
				return nil, err
			}
			from, to := r.Sigmas[i], r.Sigmas[i+1]
			d := slope(x, from, denoised)
			if cfgpp {
				d = slope(x, from, r.Uncond())
			}
			switch {
			case to == 0:
				x = denoised
			case cfgpp:
				x = sum(term{1, denoised}, term{to, d})
			default:
				x = along(x, d, to-from)
			}
			if to != 0 && old != nil {
				x = along(x, sum(term{gamma - 1, d}, term{-(gamma - 1), old}), to-from)
			}
			old = d
		}
		return x, nil
	}
}
