package sampling

import (
	"context"

	"comfygo/engine/tensor"
)

// sampleEuler takes a straight step along the slope (Karras et al., 2022, algorithm 2 without churn).
func sampleEuler(ctx context.Context, r *Run) (*tensor.Tensor, error) {
	x := r.X
	for i := range len(r.Sigmas) - 1 {
		denoised, err := r.predict(ctx, i, x)
		if err != nil {
			return nil, err
		}
		x = eulerStep(x, denoised, r.Sigmas[i], r.Sigmas[i+1])
	}
	return x, nil
}

// eulerStep returns x moved from one level to another along its slope.
func eulerStep(x, denoised *tensor.Tensor, from, to float32) *tensor.Tensor {
	dt := to - from
	return zip(x, denoised, func(a, d float32) float32 {
		return a + float32((a-d)/from*dt)
	})
}
