package sampling

import (
	"context"

	"comfygo/engine/tensor"
)

// sampleDPMPPSDE is DPM-Solver++ on the stochastic equation, with a second prediction half-way through each step.
func sampleDPMPPSDE(ctx context.Context, r *Run) (*tensor.Tensor, error) {
	if len(r.Sigmas) <= 1 {
		return r.X, nil
	}
	x, noise := r.X, brownianNoise(r.X.Shape, r.Sigmas, r.Seed)
	r.Sigmas = r.Model.offsetFirst(r.Sigmas)
	for i := range len(r.Sigmas) - 1 {
		denoised, err := r.predict(ctx, i, x)
		if err != nil {
			return nil, err
		}
		if r.Sigmas[i+1] == 0 {
			x = denoised
			continue
		}
		if x, err = r.sdeStep(ctx, x, denoised, r.Sigmas[i], r.Sigmas[i+1], noise); err != nil {
			return nil, err
		}
	}
	return x, nil
}

func (r *Run) sdeStep(ctx context.Context, x, denoised *tensor.Tensor, from, to float32, noise NoiseSource) (*tensor.Tensor, error) {
	start, end := r.Model.halfLogSNR(from), r.Model.halfLogSNR(to)
	middle := start + 0.5*(end-start)
	mid := r.Model.sigmaOf(middle)
	alphaStart, alphaMid, alphaEnd := from*exp32(start), mid*exp32(middle), to*exp32(end)
	scale := r.Model.NoiseScale()

	decay := func(target, alpha float32, guess *tensor.Tensor, level float32) *tensor.Tensor {
		down, up := ancestral(exp32(-start), exp32(-target), 1)
		h := -log32(down) - start
		moved := sum(term{alpha / alphaStart * exp32(-h), x}, term{-(alpha * expm132(-h)), guess})
		return sum(term{1, moved}, term{alpha * scale * up, noise(from, level)})
	}
	denoised2, err := r.Denoise(ctx, decay(middle, alphaMid, denoised, mid), mid)
	if err != nil {
		return nil, err
	}
	return decay(end, alphaEnd, denoised2, to), nil
}

// sdeDecay returns x after the deterministic part of a first-order step of the stochastic equation with eta 1, and the
// noise to add to it.
func (r *Run) sdeDecay(x, denoised *tensor.Tensor, from, to float32, noise NoiseSource) (moved *tensor.Tensor, h, alpha float32, fresh term) {
	start, end := r.Model.halfLogSNR(from), r.Model.halfLogSNR(to)
	h = end - start
	alpha = to * exp32(end)
	moved = sum(term{to / from * exp32(-h), x}, term{alpha * -expm132(-2*h), denoised})
	up := to * sqrt32(-expm132(-2*h)) * r.Model.NoiseScale()
	return moved, h, alpha, term{up, noise(from, to)}
}

// sampleDPMPP2MSDE returns DPM-Solver++(2M) on the stochastic equation, with the midpoint or the Heun form of its correction.
func sampleDPMPP2MSDE(heun bool) samplerFunc {
	return func(ctx context.Context, r *Run) (*tensor.Tensor, error) {
		if len(r.Sigmas) <= 1 {
			return r.X, nil
		}
		x, noise := r.X, brownianNoise(r.X.Shape, r.Sigmas, r.Seed)
		r.Sigmas = r.Model.offsetFirst(r.Sigmas)
		var old *tensor.Tensor
		var lastH float32
		for i := range len(r.Sigmas) - 1 {
			denoised, err := r.predict(ctx, i, x)
			if err != nil {
				return nil, err
			}
			if r.Sigmas[i+1] == 0 {
				x = denoised
				continue
			}
			moved, h, alpha, fresh := r.sdeDecay(x, denoised, r.Sigmas[i], r.Sigmas[i+1], noise)
			if old != nil {
				weight := 0.5 * alpha * -expm132(-2*h)
				if heun {
					weight = alpha * (-expm132(-2*h)/(-2*h) + 1)
				}
				moved = sum(term{1, moved}, term{weight * (h / lastH), sum(term{1, denoised}, term{-1, old})})
			}
			x = sum(term{1, moved}, fresh)
			old, lastH = denoised, h
		}
		return x, nil
	}
}

// sampleDPMPP3MSDE is DPM-Solver++(3M) on the stochastic equation: the last two predictions make it third order.
func sampleDPMPP3MSDE(ctx context.Context, r *Run) (*tensor.Tensor, error) {
	if len(r.Sigmas) <= 1 {
		return r.X, nil
	}
	x, noise := r.X, brownianNoise(r.X.Shape, r.Sigmas, r.Seed)
	r.Sigmas = r.Model.offsetFirst(r.Sigmas)
	var denoised1, denoised2 *tensor.Tensor
	var h1, h2 float32
	for i := range len(r.Sigmas) - 1 {
		denoised, err := r.predict(ctx, i, x)
		if err != nil {
			return nil, err
		}
		if r.Sigmas[i+1] == 0 {
			x = denoised
			continue
		}
		moved, h, alpha, fresh := r.sdeDecay(x, denoised, r.Sigmas[i], r.Sigmas[i+1], noise)
		phi2 := expm132(-2*h)/(2*h) + 1
		switch {
		case denoised2 != nil:
			r0, r1 := h1/h, h2/h
			d10 := sum(term{1 / r0, denoised}, term{-1 / r0, denoised1})
			d11 := sum(term{1 / r1, denoised1}, term{-1 / r1, denoised2})
			bend := sum(term{1, d10}, term{-1, d11})
			d1 := sum(term{1, d10}, term{r0 / (r0 + r1), bend})
			phi3 := phi2/(2*h) - 0.5
			moved = sum(term{1, moved}, term{alpha * phi2, d1}, term{-(alpha * phi3) / (r0 + r1), bend})
		case denoised1 != nil:
			r0 := h1 / h
			moved = sum(term{1, moved}, term{alpha * phi2 / r0, sum(term{1, denoised}, term{-1, denoised1})})
		}
		x = sum(term{1, moved}, fresh)
		denoised1, denoised2, h1, h2 = denoised, denoised1, h, h1
	}
	return x, nil
}
