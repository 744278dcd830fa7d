package sampling

import (
	"context"

	"comfygo/engine/tensor"
	"comfygo/engine/vec"
)

// sampleHeun averages the slopes at both ends of a step (Karras et al., 2022, algorithm 2 without churn).
func sampleHeun(ctx context.Context, r *Run) (*tensor.Tensor, error) {
	x := r.X
	for i := range len(r.Sigmas) - 1 {
		denoised, err := r.predict(ctx, i, x)
		if err != nil {
			return nil, err
		}
		from, to := r.Sigmas[i], r.Sigmas[i+1]
		x2 := eulerStep(x, denoised, from, to)
		if to == 0 {
			x = x2
			continue
		}
		denoised2, err := r.Denoise(ctx, x2, to)
		if err != nil {
			return nil, err
		}
		x = meanStep(x, denoised, x2, denoised2, from, to)
	}
	return x, nil
}

// meanStep returns x moved from one level to another along the mean of the slopes there and at x2.
func meanStep(x, denoised, x2, denoised2 *tensor.Tensor, from, to float32) *tensor.Tensor {
	out := like(x)
	spread(len(out.Data), func(first, last int) {
		var here, there [chunk]float32
		for ; first < last; first += chunk {
			end := min(first+chunk, last)
			moved, mean, other := out.Data[first:end], here[:end-first], there[:end-first]
			vec.Slope(mean, x.Data[first:end], denoised.Data[first:end], from)
			vec.Slope(other, x2.Data[first:end], denoised2.Data[first:end], to)
			vec.Scale(mean, mean, 0.5)
			vec.AddScaled(mean, other, 0.5)
			copy(moved, x.Data[first:end])
			vec.AddScaled(moved, mean, to-from)
		}
	})
	return out
}

// slopeAt returns the slope of x at a level.
func (r *Run) slopeAt(ctx context.Context, x *tensor.Tensor, sigma float32) (*tensor.Tensor, error) {
	denoised, err := r.Denoise(ctx, x, sigma)
	if err != nil {
		return nil, err
	}
	return slope(x, sigma, denoised), nil
}

// sampleHeunPP2 weighs the slopes of up to three levels by their height (Heun++, Carzit's sd-webui-samplers-scheduler).
func sampleHeunPP2(ctx context.Context, r *Run) (*tensor.Tensor, error) {
	x, end := r.X, r.Sigmas[len(r.Sigmas)-1]
	for i := range len(r.Sigmas) - 1 {
		denoised, err := r.predict(ctx, i, x)
		if err != nil {
			return nil, err
		}
		from, to := r.Sigmas[i], r.Sigmas[i+1]
		d, dt := slope(x, from, denoised), to-from
		if to == end {
			x = along(x, d, dt)
			continue
		}
		x2 := along(x, d, dt)
		d2, err := r.slopeAt(ctx, x2, to)
		if err != nil {
			return nil, err
		}
		after := r.Sigmas[i+2]
		if after == end {
			w2 := to / (2 * r.Sigmas[0])
			x = along(x, sum(term{1 - w2, d}, term{w2, d2}), dt)
			continue
		}
		d3, err := r.slopeAt(ctx, along(x2, d2, after-to), after)
		if err != nil {
			return nil, err
		}
		w := 3 * r.Sigmas[0]
		w2, w3 := to/w, after/w
		x = along(x, sum(term{1 - w2 - w3, d}, term{w2, d2}, term{w3, d3}), dt)
	}
	return x, nil
}
