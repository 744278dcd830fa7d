package sampling

import (
	"context"
	"math"

	"comfygo/engine/tensor"
)

// sampleResMultistep returns the second-order multistep method of arXiv 2308.02157: eta is the share of fresh noise, cfgpp
// takes the decay from the negative side's prediction.
func sampleResMultistep(eta float32, cfgpp bool) samplerFunc {
	return func(ctx context.Context, r *Run) (*tensor.Tensor, error) {
		x, noise := r.X, r.fresh()
		var old *tensor.Tensor
		var oldDown float32
		for i := range len(r.Sigmas) - 1 {
			denoised, err := r.predict(ctx, i, x)
			if err != nil {
				return nil, err
			}
			from, to := r.Sigmas[i], r.Sigmas[i+1]
			guess := denoised
			if cfgpp {
				guess = r.Uncond()
			}
			down, up := ancestral(from, to, eta)
			switch {
			case down != 0 && old != nil:
				if cfgpp {
					x = sum(term{1, x}, term{1, sum(term{1, denoised}, term{-1, guess})})
				}
				decay, b1, b2 := resCoefficients(r.Sigmas[i-1], from, oldDown, down)
				x = sum(term{decay, x}, term{b1, guess}, term{b2, old})
			case cfgpp:
				x = sum(term{1, denoised}, term{down, slope(x, from, guess)})
			default:
				x = eulerStep(x, denoised, from, down)
			}
			if up > 0 {
				x = sum(term{1, x}, term{r.Model.NoiseScale() * up, noise(from, to)})
			}
			old, oldDown = guess, down
		}
		return x, nil
	}
}

// resCoefficients returns the factors of x, the newest and the last prediction in a step from one level to another;
// previous is the level before, oldDown the one that the last step went down to.
func resCoefficients(previous, from, oldDown, to float32) (decay, b1, b2 float32) {
	h := -log32(to) + log32(from)
	c2 := (-log32(previous) + log32(oldDown)) / h
	phi1 := expm132(-h) / -h
	phi2 := (phi1 - 1) / -h
	return exp32(-h), h * finite(phi1-phi2/c2), h * finite(phi2/c2)
}

// finite is torch.nan_to_num: zero for NaN, the greatest number for an infinity.
func finite(v float32) float32 {
	if v != v {
		return 0
	}
	return min(max(v, -math.MaxFloat32), math.MaxFloat32)
}
