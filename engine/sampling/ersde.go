package sampling

import (
	"context"

	"comfygo/engine/tensor"
)

// erSettings are the options of sampleERSDE.
type erSettings struct {
	// scale is the solver's noise scale at a level.
	scale func(lambda float32) float32
	// strength multiplies the noise; stages is the order, 1 to 3.
	strength float32
	stages   int
}

// erScale returns the noise scale of the extended equation; eta is its strength.
func erScale(eta float32) func(lambda float32) float32 {
	return func(lambda float32) float32 {
		grown := exp32(pow32(lambda, 0.3)) + 10
		if eta != 1 {
			grown = pow32(grown, eta)
		}
		return lambda * grown
	}
}

// reverseScale is the scale of the reverse-time equation.
func reverseScale(eta float32) func(lambda float32) float32 {
	return func(lambda float32) float32 { return pow32(lambda, eta+1) }
}

// odeScale is the scale of the equation without noise.
func odeScale(lambda float32) float32 { return lambda }

// sampleERSDE is the extended reverse-time solver (Cui et al., arXiv 2309.06169).
func sampleERSDE(o erSettings) samplerFunc {
	return func(ctx context.Context, r *Run) (*tensor.Tensor, error) {
		r.Sigmas = r.Model.offsetFirst(r.Sigmas)
		s := &erSolver{erSettings: o, run: r, noise: r.fresh(), lambda: make([]float32, len(r.Sigmas))}
		for i, sigma := range r.Sigmas {
			s.lambda[i] = exp32(-r.Model.halfLogSNR(sigma))
		}
		x := r.X
		for i := range len(r.Sigmas) - 1 {
			denoised, err := r.predict(ctx, i, x)
			if err != nil {
				return nil, err
			}
			if r.Sigmas[i+1] == 0 {
				x = denoised
			} else {
				x = s.step(i, x, denoised)
			}
			s.old = denoised
		}
		return x, nil
	}
}

// erSolver is the state of a run: lambda is sigma/alpha of each level.
type erSolver struct {
	erSettings
	run       *Run
	noise     NoiseSource
	lambda    []float32
	old, oldD *tensor.Tensor
}

func (s *erSolver) step(i int, x, denoised *tensor.Tensor) *tensor.Tensor {
	from, to := s.lambda[i], s.lambda[i+1]
	alphaFrom, alpha := s.run.Sigmas[i]/from, s.run.Sigmas[i+1]/to
	scaleTo := s.scale(to)
	ratio := scaleTo / s.scale(from)
	x = sum(term{alpha / alphaFrom * ratio, x}, term{alpha * (1 - ratio), denoised})
	if s.stages >= 2 && s.old != nil {
		first, second := s.integrals(from, to)
		inverse := 1 / (from - s.lambda[i-1])
		d := sum(term{inverse, denoised}, term{-inverse, s.old})
		x = sum(term{1, x}, term{alpha * (to - from + first*scaleTo), d})
		if s.stages >= 3 && s.oldD != nil {
			inverse := 2 / (from - s.lambda[i-2])
			bend := sum(term{inverse, d}, term{-inverse, s.oldD})
			x = sum(term{1, x}, term{alpha * ((to-from)*(to-from)/2 + second*scaleTo), bend})
		}
		s.oldD = d
	}
	if !(s.strength > 0) {
		return x
	}
	up := finite(sqrt32(to*to - from*from*(ratio*ratio)))
	return sum(term{1, x}, term{alpha * s.strength * s.run.Model.NoiseScale() * up, s.noise(s.run.Sigmas[i], s.run.Sigmas[i+1])})
}

// integrals integrates 1/scale and (l-from)/scale over the step by 200 points.
func (s *erSolver) integrals(from, to float32) (first, second float32) {
	const points = 200
	step := -(to - from) / points
	var a, b float64
	for i := range points {
		at := to + float32(i)*step
		scale := s.scale(at)
		a += float64(1 / scale)
		b += float64((at - from) / scale)
	}
	return float32(a) * step, float32(b) * step
}
