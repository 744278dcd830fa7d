package sampling

import (
	"context"

	"comfygo/engine/tensor"
)

// sampleDPMPP2M is DPM-Solver++(2M) (Lu et al., arXiv 2211.01095): the last prediction but one makes it second order.
func sampleDPMPP2M(ctx context.Context, r *Run) (*tensor.Tensor, error) {
	x := r.X
	var old *tensor.Tensor
	for i := range len(r.Sigmas) - 1 {
		denoised, err := r.predict(ctx, i, x)
		if err != nil {
			return nil, err
		}
		t, next := -log32(r.Sigmas[i]), -log32(r.Sigmas[i+1])
		h, guess := next-t, denoised
		if old != nil && r.Sigmas[i+1] != 0 {
			c := 1 / (2 * ((t + log32(r.Sigmas[i-1])) / h))
			guess = sum(term{1 + c, denoised}, term{-c, old})
		}
		x = sum(term{levelAt(next) / levelAt(t), x}, term{-expm132(-h), guess})
		old = denoised
	}
	return x, nil
}

// sampleDPMPP2SAncestral is DPM-Solver++(2S) with fresh noise after each step; eta is its share, strength multiplies it.
func sampleDPMPP2SAncestral(eta, strength float32) samplerFunc {
	return func(ctx context.Context, r *Run) (*tensor.Tensor, error) {
		if r.Model.Flow() {
			return flowDPMPP2SAncestral(ctx, r, eta, strength)
		}
		x, noise := r.X, r.fresh()
		for i := range len(r.Sigmas) - 1 {
			denoised, err := r.predict(ctx, i, x)
			if err != nil {
				return nil, err
			}
			from, to := r.Sigmas[i], r.Sigmas[i+1]
			down, up := ancestral(from, to, eta)
			if down == 0 {
				x = eulerStep(x, denoised, from, down)
			} else if x, err = r.twoStage(ctx, x, denoised, from, down); err != nil {
				return nil, err
			}
			if to > 0 {
				x = sum(term{1, x}, term{strength * up, noise(from, to)})
			}
		}
		return x, nil
	}
}

// twoStage takes a step of DPM-Solver++(2S).
func (r *Run) twoStage(ctx context.Context, x, denoised *tensor.Tensor, from, to float32) (*tensor.Tensor, error) {
	t, next := -log32(from), -log32(to)
	h := next - t
	mid := t + 0.5*h
	half := sum(term{levelAt(mid) / levelAt(t), x}, term{-expm132(-h * 0.5), denoised})
	denoised2, err := r.Denoise(ctx, half, levelAt(mid))
	if err != nil {
		return nil, err
	}
	return sum(term{levelAt(next) / levelAt(t), x}, term{-expm132(-h), denoised2}), nil
}

// flowDPMPP2SAncestral is sampleDPMPP2SAncestral on a rectified flow.
func flowDPMPP2SAncestral(ctx context.Context, r *Run, eta, strength float32) (*tensor.Tensor, error) {
	x, noise := r.X, r.fresh()
	for i := range len(r.Sigmas) - 1 {
		denoised, err := r.predict(ctx, i, x)
		if err != nil {
			return nil, err
		}
		from, to := r.Sigmas[i], r.Sigmas[i+1]
		down, keep, up := flowAncestral(from, to, eta)
		if to == 0 {
			x = eulerStep(x, denoised, from, down)
			continue
		}
		mid := float32(0.9999)
		if from != 1 {
			start, end := log32((1-from)/from), log32((1-down)/down)
			mid = 1 / (exp32(start+0.5*(end-start)) + 1)
		}
		ratio := mid / from
		denoised2, err := r.Denoise(ctx, sum(term{ratio, x}, term{1 - ratio, denoised}), mid)
		if err != nil {
			return nil, err
		}
		ratio = down / from
		x = sum(term{ratio, x}, term{1 - ratio, denoised2})
		if eta > 0 {
			x = sum(term{keep, x}, term{strength * r.Model.NoiseScale() * up, noise(from, to)})
		}
	}
	return x, nil
}
