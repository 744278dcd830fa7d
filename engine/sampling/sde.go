package sampling

import (
	"context"

	"comfygo/engine/tensor"
)

// sdeSettings are the options of the solvers of the stochastic equation.
type sdeSettings struct {
	// eta is the share of the noise, strength multiplies it; it is added only if both are above zero.
	eta, strength float32
	// ratio is the place of sampleDPMPPSDE's middle prediction inside a step.
	ratio float64
}

func (o sdeSettings) noisy() bool { return o.eta > 0 && o.strength > 0 }

// sampleDPMPPSDE is DPM-Solver++ on the stochastic equation, with a second prediction inside each step.
func sampleDPMPPSDE(o sdeSettings) samplerFunc {
	return func(ctx context.Context, r *Run) (*tensor.Tensor, error) {
		if len(r.Sigmas) <= 1 {
			return r.X, nil
		}
		x := r.X
		noise, end := r.brownian(o, func(from, to float32) []span {
			return []span{{from, r.middle(from, to, o.ratio).sigma}, {from, to}}
		})
		defer end()
		for i := range len(r.Sigmas) - 1 {
			denoised, err := r.predict(ctx, i, x)
			if err != nil {
				return nil, err
			}
			if r.Sigmas[i+1] == 0 {
				x = denoised
				continue
			}
			if x, err = r.sdeStep(ctx, x, denoised, r.Sigmas[i], r.Sigmas[i+1], o, noise); err != nil {
				return nil, err
			}
		}
		return x, nil
	}
}

// sdePlace is a level with its logarithm of signal to noise, halved.
type sdePlace struct{ lambda, sigma float32 }

// middle returns the place at share ratio of the way of a step.
func (r *Run) middle(from, to float32, ratio float64) sdePlace {
	start, end := r.Model.halfLogSNR(from), r.Model.halfLogSNR(to)
	lambda := start + float32(ratio)*(end-start)
	return sdePlace{lambda, r.Model.sigmaOf(lambda)}
}

// brownian prepares the run's levels and returns the noise of its Brownian path, with what ends the drawing of it; asks lists
// what a step that does not end at zero asks for.
func (r *Run) brownian(o sdeSettings, asks func(from, to float32) []span) (noise NoiseSource, end func()) {
	sigmas := r.Sigmas
	r.Sigmas = r.Model.offsetFirst(r.Sigmas)
	if !o.noisy() {
		return nil, func() {}
	}
	var plan []span
	for i, to := range r.Sigmas[1:] {
		if to != 0 {
			plan = append(plan, asks(r.Sigmas[i], to)...)
		}
	}
	p := newBrownianPath(r.X.Shape, sigmas, r.Seed, plan)
	return p.noise, p.close
}

func (r *Run) sdeStep(ctx context.Context, x, denoised *tensor.Tensor, from, to float32, o sdeSettings, noise NoiseSource) (*tensor.Tensor, error) {
	start, end := r.Model.halfLogSNR(from), r.Model.halfLogSNR(to)
	place := r.middle(from, to, o.ratio)
	middle, mid := place.lambda, place.sigma
	alphaStart, alphaMid, alphaEnd := from*exp32(start), mid*exp32(middle), to*exp32(end)
	scale := o.strength * r.Model.NoiseScale()

	decay := func(target, alpha float32, guess *tensor.Tensor, level float32) *tensor.Tensor {
		down, up := ancestral(exp32(-start), exp32(-target), o.eta)
		h := -log32(down) - start
		moved := sum(term{alpha / alphaStart * exp32(-h), x}, term{-(alpha * expm132(-h)), guess})
		if !o.noisy() {
			return moved
		}
		return sum(term{1, moved}, term{alpha * scale * up, noise(from, level)})
	}
	denoised2, err := r.Denoise(ctx, decay(middle, alphaMid, denoised, mid), mid)
	if err != nil {
		return nil, err
	}
	if share := 1 / (2 * o.ratio); share != 1 {
		denoised2 = sum(term{float32(1 - share), denoised}, term{float32(share), denoised2})
	}
	return decay(end, alphaEnd, denoised2, to), nil
}

// sdeStage is the first-order part of a step of the stochastic equation.
type sdeStage struct {
	moved       *tensor.Tensor // x after it, without the noise
	h, hEta     float32        // the length of the step, without and with the noise's share
	alpha       float32
	noise, next float32 // the level of the noise to add and the one to draw it for
}

func (r *Run) sdeDecay(x, denoised *tensor.Tensor, from, to float32, o sdeSettings) sdeStage {
	start, end := r.Model.halfLogSNR(from), r.Model.halfLogSNR(to)
	s := sdeStage{h: end - start, alpha: to * exp32(end), next: to}
	s.hEta = s.h * (o.eta + 1)
	s.moved = sum(term{to / from * exp32(-s.h*o.eta), x}, term{s.alpha * -expm132(-s.hEta), denoised})
	if o.noisy() {
		s.noise = to * sqrt32(-expm132(-2*s.h*o.eta)) * o.strength * r.Model.NoiseScale()
	}
	return s
}

// finish returns the state at the end of the step, with its noise.
func (s sdeStage) finish(from float32, o sdeSettings, noise NoiseSource) *tensor.Tensor {
	if !o.noisy() {
		return s.moved
	}
	return sum(term{1, s.moved}, term{s.noise, noise(from, s.next)})
}

// sampleDPMPP2MSDE returns DPM-Solver++(2M) on the stochastic equation, with the midpoint or the Heun form of its correction.
func sampleDPMPP2MSDE(heun bool, o sdeSettings) samplerFunc {
	return func(ctx context.Context, r *Run) (*tensor.Tensor, error) {
		if len(r.Sigmas) <= 1 {
			return r.X, nil
		}
		x := r.X
		noise, end := r.brownian(o, func(from, to float32) []span { return []span{{from, to}} })
		defer end()
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
			s := r.sdeDecay(x, denoised, r.Sigmas[i], r.Sigmas[i+1], o)
			if old != nil {
				weight := 0.5 * s.alpha * -expm132(-s.hEta)
				if heun {
					weight = s.alpha * (-expm132(-s.hEta)/(-s.hEta) + 1)
				}
				s.moved = sum(term{1, s.moved}, term{weight * (s.h / lastH), sum(term{1, denoised}, term{-1, old})})
			}
			x = s.finish(r.Sigmas[i], o, noise)
			old, lastH = denoised, s.h
		}
		return x, nil
	}
}

// sampleDPMPP3MSDE is DPM-Solver++(3M) on the stochastic equation: the last two predictions make it third order.
func sampleDPMPP3MSDE(o sdeSettings) samplerFunc {
	return func(ctx context.Context, r *Run) (*tensor.Tensor, error) {
		if len(r.Sigmas) <= 1 {
			return r.X, nil
		}
		x := r.X
		noise, end := r.brownian(o, func(from, to float32) []span { return []span{{from, to}} })
		defer end()
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
			s := r.sdeDecay(x, denoised, r.Sigmas[i], r.Sigmas[i+1], o)
			s.thirdOrder(denoised, denoised1, denoised2, h1, h2)
			x = s.finish(r.Sigmas[i], o, noise)
			denoised1, denoised2, h1, h2 = denoised, denoised1, s.h, h1
		}
		return x, nil
	}
}

// thirdOrder corrects the step by the last two predictions, as far as there are any.
func (s *sdeStage) thirdOrder(denoised, denoised1, denoised2 *tensor.Tensor, h1, h2 float32) {
	phi2 := expm132(-s.hEta)/s.hEta + 1
	switch {
	case denoised2 != nil:
		r0, r1 := h1/s.h, h2/s.h
		d10 := sum(term{1 / r0, denoised}, term{-1 / r0, denoised1})
		d11 := sum(term{1 / r1, denoised1}, term{-1 / r1, denoised2})
		bend := sum(term{1, d10}, term{-1, d11})
		d1 := sum(term{1, d10}, term{r0 / (r0 + r1), bend})
		phi3 := phi2/s.hEta - 0.5
		s.moved = sum(term{1, s.moved}, term{s.alpha * phi2, d1}, term{-(s.alpha * phi3) / (r0 + r1), bend})
	case denoised1 != nil:
		r0 := h1 / s.h
		s.moved = sum(term{1, s.moved}, term{s.alpha * phi2 / r0, sum(term{1, denoised}, term{-1, denoised1})})
	}
}
