package sampling

import (
	"context"
	"math"

	"comfygo/engine/tensor"
)

// sampleSASolver returns the stochastic Adams predictor-corrector of orders 3 and 4 (Xue et al., "SA-Solver", arXiv
// 2309.05019). With pece the corrected state is predicted again.
func sampleSASolver(pece bool) samplerFunc {
	return func(ctx context.Context, r *Run) (*tensor.Tensor, error) {
		if len(r.Sigmas) <= 1 {
			return r.X, nil
		}
		s := newSASolver(r, pece)
		for i := range len(r.Sigmas) - 1 {
			if err := s.step(ctx, i); err != nil {
				return nil, err
			}
		}
		return s.ahead, nil
	}
}

const (
	saPredictorOrder = 3
	saCorrectorOrder = 4
)

// saSolver is the state of a run: ahead is the predicted latent at the current level.
type saSolver struct {
	run         *Run
	pece        bool
	source      NoiseSource
	lambdas     []float32
	startSigma  float64
	endSigma    float64
	x, ahead    *tensor.Tensor
	predictions []*tensor.Tensor // oldest first
	h, tau      float32
	noise       *tensor.Tensor // what the last predictor added
}

func newSASolver(r *Run, pece bool) *saSolver {
	r.Sigmas = r.Model.offsetFirst(r.Sigmas)
	s := &saSolver{run: r, pece: pece, source: r.fresh(), x: r.X, ahead: r.X}
	for _, sigma := range r.Sigmas {
		s.lambdas = append(s.lambdas, r.Model.halfLogSNR(sigma))
	}
	s.startSigma, s.endSigma = r.Model.PercentToSigma(0.2), r.Model.PercentToSigma(0.8)
	return s
}

func (s *saSolver) step(ctx context.Context, i int) error {
	r := s.run
	denoised, err := r.predict(ctx, i, s.ahead)
	if err != nil {
		return err
	}
	s.predictions = append(s.predictions, denoised)
	if len(s.predictions) > saCorrectorOrder {
		s.predictions = s.predictions[1:]
	}
	to := r.Sigmas[i+1]
	predictor, corrector := min(saPredictorOrder, len(s.predictions)), min(saCorrectorOrder, len(s.predictions))
	if i == 0 || to == 0 && !s.pece {
		corrector = 0
	}
	if r.Sigmas[len(r.Sigmas)-1] == 0 { // lower orders near the end are more stable
		predictor = min(predictor, len(r.Sigmas)-2-i)
		corrector = min(corrector, len(r.Sigmas)-1-i)
	}
	if corrector == 0 {
		s.x = s.ahead
	} else {
		s.x = s.adams(i, corrector, i-1, i)
		if s.noise != nil {
			s.x = sum(term{1, s.x}, term{1, s.noise})
		}
		if s.pece {
			if denoised, err = r.Denoise(ctx, s.x, r.Sigmas[i]); err != nil {
				return err
			}
			s.predictions[len(s.predictions)-1] = denoised
		}
	}
	if to == 0 {
		s.ahead = denoised
		return nil
	}
	s.predictAhead(i, predictor)
	return nil
}

// predictAhead moves the state to the next level.
func (s *saSolver) predictAhead(i, order int) {
	from, to := s.run.Sigmas[i], s.run.Sigmas[i+1]
	s.tau = 0
	if v := float64(to); s.startSigma >= v && v >= s.endSigma {
		s.tau = 1
	}
	s.h = s.lambdas[i+1] - s.lambdas[i]
	s.ahead = s.adams(i, order, i, i+1)
	s.noise = nil
	if s.tau > 0 {
		up := to * sqrt32(-expm132(-2*s.tau*s.tau*s.h)) * s.run.Model.NoiseScale()
		s.noise = sum(term{up, s.source(from, to)})
		s.ahead = sum(term{1, s.ahead}, term{1, s.noise})
	}
}

// adams returns the state at level to, from the one at level from and the latest predictions, whose newest is that of
// level newest.
func (s *saSolver) adams(newest, order, from, to int) *tensor.Tensor {
	sigmas := s.run.Sigmas
	decay := sigmas[to] / sigmas[from] * exp32(-s.tau*s.tau*s.h)
	terms := []term{{decay, s.x}}
	points := s.lambdas[newest-order+1 : newest+1]
	alpha := sigmas[to] * exp32(s.lambdas[to])
	latest := s.predictions[len(s.predictions)-order:]
	for k, b := range adamsCoefficients(points, s.lambdas[from], s.lambdas[to], s.tau) {
		terms = append(terms, term{alpha * float32(b), latest[k]})
	}
	return sum(terms...)
}

// adamsCoefficients integrates the Lagrange polynomials of the given points against (1+tau²)exp((1+tau²)x) from start to
// end, with the value of the exponential at end taken out.
func adamsCoefficients(points []float32, start, end, tau float32) []float64 {
	n := len(points)
	m := 1 + float64(tau)*float64(tau)
	s, t := float64(start), float64(end)
	moments := make([]float64, n)
	for p := range moments {
		moments[p] = math.Pow(t, float64(p)) - math.Pow(s, float64(p))*math.Exp(-m*(t-s))
		if p > 0 { // integration by parts
			moments[p] -= float64(p) / m * moments[p-1]
		}
	}
	rows := make([][]float64, n)
	for p := range rows {
		rows[p] = make([]float64, n)
		for k, l := range points {
			rows[p][k] = math.Pow(float64(l), float64(p))
		}
	}
	return solve(rows, moments)
}
