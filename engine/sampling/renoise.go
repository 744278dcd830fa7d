package sampling

import (
	"context"

	"comfygo/engine/tensor"
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

// sampleLCM adds all new noise to each prediction (Luo et al., "Latent Consistency Models").
func sampleLCM(ctx context.Context, r *Run) (*tensor.Tensor, error) {
	x, noise := r.X, r.fresh()
	for i := range len(r.Sigmas) - 1 {
		denoised, err := r.predict(ctx, i, x)
		if err != nil {
			return nil, err
		}
		x = denoised
		if to := r.Sigmas[i+1]; to > 0 {
			x = r.Model.AddNoise(to, noise(r.Sigmas[i], to), x, false)
		}
	}
	return x, nil
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
