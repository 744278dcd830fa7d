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

// sampleERSDE is the extended reverse-time solver of order 3 (Cui et al., arXiv 2309.06169).
func sampleERSDE(ctx context.Context, r *Run) (*tensor.Tensor, error) {
	x, noise := r.X, r.fresh()
	r.Sigmas = r.Model.offsetFirst(r.Sigmas)
	lambda := make([]float32, len(r.Sigmas)) // sigma/alpha at each level
	for i, s := range r.Sigmas {
		lambda[i] = exp32(-r.Model.halfLogSNR(s))
	}
	var old, oldD *tensor.Tensor
	for i := range len(r.Sigmas) - 1 {
		denoised, err := r.predict(ctx, i, x)
		if err != nil {
			return nil, err
		}
		if r.Sigmas[i+1] == 0 {
			x, old = denoised, denoised
			continue
		}
		from, to := lambda[i], lambda[i+1]
		alphaFrom, alpha := r.Sigmas[i]/from, r.Sigmas[i+1]/to
		ratio := erScale(to) / erScale(from)
		x = sum(term{alpha / alphaFrom * ratio, x}, term{alpha * (1 - ratio), denoised})
		if old != nil {
			first, second := erIntegrals(from, to)
			d := sum(term{1 / (from - lambda[i-1]), denoised}, term{-1 / (from - lambda[i-1]), old})
			x = sum(term{1, x}, term{alpha * (to - from + first*erScale(to)), d})
			if oldD != nil {
				inverse := 2 / (from - lambda[i-2])
				bend := sum(term{inverse, d}, term{-inverse, oldD})
				x = sum(term{1, x}, term{alpha * ((to-from)*(to-from)/2 + second*erScale(to)), bend})
			}
			oldD = d
		}
		up := finite(sqrt32(to*to - from*from*(ratio*ratio)))
		x = sum(term{1, x}, term{alpha * r.Model.NoiseScale() * up, noise(r.Sigmas[i], r.Sigmas[i+1])})
		old = denoised
	}
	return x, nil
}

// erScale is the solver's default noise scale.
func erScale(lambda float32) float32 { return lambda * (exp32(pow32(lambda, 0.3)) + 10) }

// erIntegrals integrates 1/erScale and (l-from)/erScale over the step by 200 points.
func erIntegrals(from, to float32) (first, second float32) {
	const points = 200
	step := -(to - from) / points
	var a, b float64
	for i := range points {
		at := to + float32(i)*step
		s := erScale(at)
		a += float64(1 / s)
		b += float64((at - from) / s)
	}
	return float32(a) * step, float32(b) * step
}
