package sampling

import (
	"context"

	"comfygo/engine/tensor"
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
	dt := to - from
	spread(len(out.Data), func(first, last int) {
		moved, a, d, a2, d2 := out.Data[first:last], x.Data[first:last], denoised.Data[first:last], x2.Data[first:last], denoised2.Data[first:last]
		for i := range moved {
			mean := float32(0.5*((a[i]-d[i])/from)) + float32(0.5*((a2[i]-d2[i])/to))
			moved[i] = a[i] + float32(mean*dt)
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
