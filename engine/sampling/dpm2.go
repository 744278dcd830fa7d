package sampling

import (
	"context"

	"comfygo/engine/tensor"
)

// between returns the geometric mean of two levels.
func between(a, b float32) float32 {
	la, lb := log32(a), log32(b)
	return exp32(lb - (lb-la)*0.5)
}

// midpointStep takes a step with the slope in its middle (DPM-Solver-2).
func (r *Run) midpointStep(ctx context.Context, x, denoised *tensor.Tensor, from, to float32) (*tensor.Tensor, error) {
	mid := between(from, to)
	x2 := eulerStep(x, denoised, from, mid)
	denoised2, err := r.Denoise(ctx, x2, mid)
	if err != nil {
		return nil, err
	}
	return leap(x, x2, denoised2, mid, to-from), nil
}

// sampleDPM2 is inspired by DPM-Solver-2 and algorithm 2 of Karras et al. (2022).
func sampleDPM2(ctx context.Context, r *Run) (*tensor.Tensor, error) {
	x := r.X
	for i := range len(r.Sigmas) - 1 {
		denoised, err := r.predict(ctx, i, x)
		if err != nil {
			return nil, err
		}
		from, to := r.Sigmas[i], r.Sigmas[i+1]
		if to == 0 {
			x = eulerStep(x, denoised, from, to)
			continue
		}
		if x, err = r.midpointStep(ctx, x, denoised, from, to); err != nil {
			return nil, err
		}
	}
	return x, nil
}

// sampleDPM2Ancestral adds fresh noise after each midpoint step.
func sampleDPM2Ancestral(ctx context.Context, r *Run) (*tensor.Tensor, error) {
	x, noise := r.X, r.fresh()
	for i := range len(r.Sigmas) - 1 {
		denoised, err := r.predict(ctx, i, x)
		if err != nil {
			return nil, err
		}
		from, to := r.Sigmas[i], r.Sigmas[i+1]
		keep := float32(1)
		down, up := ancestral(from, to, 1)
		if r.Model.Flow() {
			down, keep, up = flowAncestral(from, to, 1)
			up *= r.Model.NoiseScale()
		}
		if down == 0 {
			x = eulerStep(x, denoised, from, down)
			continue
		}
		if x, err = r.midpointStep(ctx, x, denoised, from, down); err != nil {
			return nil, err
		}
		x = sum(term{keep, x}, term{up, noise(from, to)})
	}
	return x, nil
}
