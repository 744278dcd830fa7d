package sampling

import (
	"context"

	"comfygo/engine/tensor"
)

// The samplers of this file add noise along the negative side's prediction alone (Chung et al., "CFG++: Manifold-constrained
// Classifier Free Guidance"), so the guided prediction stays on the way of clean latents.

// sampleEulerCFGPP returns the Euler method; eta is the share of fresh noise, strength multiplies it.
func sampleEulerCFGPP(eta, strength float32) samplerFunc {
	return func(ctx context.Context, r *Run) (*tensor.Tensor, error) {
		x, noise := r.X, r.fresh()
		for i := range len(r.Sigmas) - 1 {
			denoised, err := r.predict(ctx, i, x)
			if err != nil {
				return nil, err
			}
			from, to := r.Sigmas[i], r.Sigmas[i+1]
			if to == 0 {
				x = denoised
				continue
			}
			alphaFrom := from * exp32(r.Model.halfLogSNR(from))
			alphaTo := to * exp32(r.Model.halfLogSNR(to))
			d := quotient(sum(term{1, x}, term{-alphaFrom, r.Uncond()}), from)
			down, up := ancestral(from/alphaFrom, to/alphaTo, eta)
			x = sum(term{alphaTo, denoised}, term{alphaTo * down, d})
			if eta > 0 && strength > 0 {
				x = sum(term{1, x}, term{alphaTo * strength * r.Model.NoiseScale() * up, noise(from, to)})
			}
		}
		return x, nil
	}
}

// sampleEulerPP is the other form of the Euler method: its slope leads away from the negative side's prediction twice.
func sampleEulerPP(ctx context.Context, r *Run) (*tensor.Tensor, error) {
	x := r.X
	for i := range len(r.Sigmas) - 1 {
		denoised, err := r.predict(ctx, i, x)
		if err != nil {
			return nil, err
		}
		shifted := sum(term{1, x}, term{-1, denoised}, term{1, r.Uncond()})
		x = along(x, slope(shifted, r.Sigmas[i], denoised), r.Sigmas[i+1]-r.Sigmas[i])
	}
	return x, nil
}

// sampleDPMPP2SCFGPP is DPM-Solver++(2S) with fresh noise.
func sampleDPMPP2SCFGPP(ctx context.Context, r *Run) (*tensor.Tensor, error) {
	x, noise := r.X, r.fresh()
	for i := range len(r.Sigmas) - 1 {
		denoised, err := r.predict(ctx, i, x)
		if err != nil {
			return nil, err
		}
		from, to := r.Sigmas[i], r.Sigmas[i+1]
		down, up := ancestral(from, to, 1)
		uncond := r.Uncond()
		if down == 0 {
			x = sum(term{1, denoised}, term{down, slope(x, from, uncond)})
		} else {
			if x, err = r.twoStageCFGPP(ctx, x, denoised, from, down); err != nil {
				return nil, err
			}
		}
		if to > 0 {
			x = sum(term{1, x}, term{r.Model.NoiseScale() * up, noise(from, to)})
		}
	}
	return x, nil
}

// twoStageCFGPP takes a step of DPM-Solver++(2S) whose decays act on x with the guidance added. The second one takes the
// first guided prediction and the negative side of the second, as upstream's does.
func (r *Run) twoStageCFGPP(ctx context.Context, x, denoised *tensor.Tensor, from, to float32) (*tensor.Tensor, error) {
	base := func() *tensor.Tensor {
		return sum(term{1, x}, term{1, sum(term{1, denoised}, term{-1, r.Uncond()})})
	}
	t, next := -log32(from), -log32(to)
	h := next - t
	mid := t + 0.5*h
	half := sum(term{levelAt(mid) / levelAt(t), base()}, term{-expm132(-h * 0.5), denoised})
	denoised2, err := r.Denoise(ctx, half, levelAt(mid))
	if err != nil {
		return nil, err
	}
	return sum(term{levelAt(next) / levelAt(t), base()}, term{-expm132(-h), denoised2}), nil
}

// sampleDPMPP2MCFGPP is DPM-Solver++(2M).
func sampleDPMPP2MCFGPP(ctx context.Context, r *Run) (*tensor.Tensor, error) {
	x := r.X
	var old *tensor.Tensor
	for i := range len(r.Sigmas) - 1 {
		denoised, err := r.predict(ctx, i, x)
		if err != nil {
			return nil, err
		}
		uncond := r.Uncond()
		t, next := -log32(r.Sigmas[i]), -log32(r.Sigmas[i+1])
		h := next - t
		mix := sum(term{-exp32(-h), uncond})
		if old != nil && r.Sigmas[i+1] != 0 {
			ratio := (t + log32(r.Sigmas[i-1])) / h
			mix = sum(term{1, mix}, term{-(expm132(-h) * (1 / (2 * ratio))), sum(term{1, denoised}, term{-1, old})})
		}
		x = sum(term{1, denoised}, term{1, mix}, term{exp32(-h), x})
		old = uncond
	}
	return x, nil
}
