package sampling

import (
	"context"

	"comfygo/engine/tensor"
)

// The SEEDS solvers (Gonzalez et al., arXiv 2305.14267) cross a step in stages; their noise is one path, drawn a stage at
// a time.

// phi1 and phi2 are h times the functions of exponential integrators.
func phi1(h float32) float32 { return expm132(h) }
func phi2(h float32) float32 { return (expm132(h) - h) / h }

// mixed returns the point at share w between a and b, as torch.lerp rounds it.
func mixed(a, b, w float32) float32 {
	if w < 0.5 {
		return a + w*(b-a)
	}
	return b - (b-a)*(1-w)
}

// seedsStage is the state of one step of a SEEDS solver.
type seedsStage struct {
	run    *Run
	source NoiseSource
	eta, h float32
	// strength multiplies the noise; it is added only if it and eta are above zero.
	strength float32
	at       float32 // the share of the step that the noise reaches
	sigma    float32 // the level there
	noise    *tensor.Tensor
}

// add returns x, which is at share r of the step and level sigma, with the noise of the path up to there.
func (s *seedsStage) add(x *tensor.Tensor, r, sigma float32) *tensor.Tensor {
	if !(s.eta > 0 && s.strength > 0) {
		return x
	}
	fresh := s.source(s.sigma, sigma)
	if s.noise == nil {
		s.noise = sum(term{sqrt32(-expm132(-2 * r * s.h * s.eta)), fresh})
	} else {
		factor := (s.at - r) * s.h * s.eta
		s.noise = sum(term{exp32(factor), s.noise}, term{sqrt32(-expm132(2 * factor)), fresh})
	}
	s.at, s.sigma = r, sigma
	return sum(term{1, x}, term{sigma * s.strength * s.run.Model.NoiseScale(), s.noise})
}

// sampleSeeds2 returns the two-stage solver with its middle stage at share ratio of the step. With secondOrder its weights
// are those of the exponential Heun method. eta is the share of the noise, strength multiplies it.
func sampleSeeds2(eta, strength, ratio float32, secondOrder bool) samplerFunc {
	return func(ctx context.Context, r *Run) (*tensor.Tensor, error) {
		x, source := r.X, r.fresh()
		r.Sigmas = r.Model.offsetFirst(r.Sigmas)
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
			start, end := r.Model.halfLogSNR(from), r.Model.halfLogSNR(to)
			h := end - start
			hEta := h * (eta + 1)
			middle := mixed(start, end, ratio)
			mid := r.Model.sigmaOf(middle)
			stage := &seedsStage{run: r, source: source, eta: eta, strength: strength, h: h, sigma: from}

			half := sum(term{mid / from * exp32(-ratio*h*eta), x}, term{-(mid * exp32(middle) * phi1(-ratio*hEta)), denoised})
			denoised2, err := r.Denoise(ctx, stage.add(half, ratio, mid), mid)
			if err != nil {
				return nil, err
			}
			b2 := phi1(-hEta) / (2 * ratio)
			if secondOrder {
				b2 = phi2(-hEta) / ratio
			}
			b1, alpha := phi1(-hEta)-b2, to*exp32(end)
			x = sum(term{to / from * exp32(-h*eta), x}, term{-alpha * b1, denoised}, term{-alpha * b2, denoised2})
			x = stage.add(x, 1, to)
		}
		return x, nil
	}
}

// sampleSeeds3 is the three-stage solver with its stages at thirds of the step.
func sampleSeeds3(ctx context.Context, r *Run) (*tensor.Tensor, error) {
	x, source := r.X, r.fresh()
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
		if x, err = r.seeds3Step(ctx, x, denoised, r.Sigmas[i], r.Sigmas[i+1], source); err != nil {
			return nil, err
		}
	}
	return x, nil
}

func (r *Run) seeds3Step(ctx context.Context, x, denoised *tensor.Tensor, from, to float32, source NoiseSource) (*tensor.Tensor, error) {
	const r1, r2, eta = float32(1.0 / 3), float32(2.0 / 3), float32(1)
	start, end := r.Model.halfLogSNR(from), r.Model.halfLogSNR(to)
	h := end - start
	hEta := h * (eta + 1)
	l1, l2 := mixed(start, end, r1), mixed(start, end, r2)
	s1, s2 := r.Model.sigmaOf(l1), r.Model.sigmaOf(l2)
	stage := &seedsStage{run: r, source: source, eta: eta, strength: 1, h: h, sigma: from}

	x2 := sum(term{s1 / from * exp32(-r1*h*eta), x}, term{-(s1 * exp32(l1) * phi1(-r1*hEta)), denoised})
	denoised2, err := r.Denoise(ctx, stage.add(x2, r1, s1), s1)
	if err != nil {
		return nil, err
	}
	a2 := r2 / r1 * phi2(-r2*hEta)
	a1, alpha := phi1(-r2*hEta)-a2, s2*exp32(l2)
	x3 := sum(term{s2 / from * exp32(-r2*h*eta), x}, term{-alpha * a1, denoised}, term{-alpha * a2, denoised2})
	denoised3, err := r.Denoise(ctx, stage.add(x3, r2, s2), s2)
	if err != nil {
		return nil, err
	}
	b3 := phi2(-hEta) / r2
	b1, alpha := phi1(-hEta)-b3, to*exp32(end)
	x = sum(term{to / from * exp32(-h*eta), x}, term{-alpha * b1, denoised}, term{-alpha * b3, denoised3})
	return stage.add(x, 1, to), nil
}
