package sampling

import (
	"context"

	"comfygo/engine/tensor"
	"comfygo/engine/vec"
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
	return leap(x, x, denoised, from, to-from)
}

// leap returns x moved by dt along the slope at another point, which is at level sigma.
func leap(x, point, denoised *tensor.Tensor, sigma, dt float32) *tensor.Tensor {
	out := like(x)
	spread(len(out.Data), func(from, to int) {
		var slopes [chunk]float32
		for ; from < to; from += chunk {
			end := min(from+chunk, to)
			moved, s := out.Data[from:end], slopes[:end-from]
			vec.Slope(s, point.Data[from:end], denoised.Data[from:end], sigma)
			copy(moved, x.Data[from:end])
			vec.AddScaled(moved, s, dt)
		}
	})
	return out
}

// along returns x moved by dt along a slope.
func along(x, slope *tensor.Tensor, dt float32) *tensor.Tensor {
	return sum(term{1, x}, term{dt, slope})
}

// ancestral splits a step into a longer one down to level down and fresh noise of level up that leads back to the wanted
// level; eta scales the noise. Upstream: get_ancestral_step.
func ancestral(from, to, eta float32) (down, up float32) {
	if eta == 0 {
		return to, 0
	}
	up = eta * sqrt32(to*to*(from*from-to*to)/(from*from))
	if !(up < to) { // NaN too: from is infinite where a flow starts
		up = to
	}
	return sqrt32(to*to - up*up), up
}

// flowAncestral is ancestral on a rectified flow: the latent is multiplied by keep before noise of the level up is added.
// Upstream: the _RF variants.
func flowAncestral(from, to, eta float32) (down, keep, up float32) {
	down = to * (1 + (to/from-1)*eta)
	alpha, alphaDown := 1-to, 1-down
	up = sqrt32(to*to - down*down*(alpha*alpha)/(alphaDown*alphaDown))
	return down, alpha / alphaDown, up
}

// sampleEulerAncestral adds fresh noise after each Euler step; eta is its share, strength multiplies it.
func sampleEulerAncestral(eta, strength float32) samplerFunc {
	return func(ctx context.Context, r *Run) (*tensor.Tensor, error) {
		x, noise, flow := r.X, r.fresh(), r.Model.Flow()
		for i := range len(r.Sigmas) - 1 {
			denoised, err := r.predict(ctx, i, x)
			if err != nil {
				return nil, err
			}
			from, to := r.Sigmas[i], r.Sigmas[i+1]
			switch down, up := ancestral(from, to, eta); {
			case flow && to == 0, !flow && down == 0:
				x = denoised
			case flow:
				down, keep, up := flowAncestral(from, to, eta)
				x = sum(term{down / from, x}, term{1 - down/from, denoised})
				if eta > 0 {
					x = sum(term{keep, x}, term{strength * r.Model.NoiseScale() * up, noise(from, to)})
				}
			default:
				x = sum(term{1, eulerStep(x, denoised, from, down)}, term{strength * up, noise(from, to)})
			}
		}
		return x, nil
	}
}
