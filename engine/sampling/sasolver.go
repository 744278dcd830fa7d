package sampling

import (
	"context"
	"math"

	"comfygo/engine/tensor"
)

// saSettings are the options of sampleSASolver.
type saSettings struct {
	predictor, corrector int // orders; a corrector of order 0 is none
	// pece evaluates the corrected state again, simple uses the paper's shorter form of order 2.
	pece, simple bool
	// eta is the share of noise at levels from start down to end, strength multiplies it.
	eta, strength float32
	start, end    float64
}

// sampleSASolver returns the stochastic Adams predictor-corrector (Xue et al., "SA-Solver", arXiv 2309.05019). Without
// settings it is of orders 3 and 4, with noise in the middle of the run.
func sampleSASolver(pece bool, o *saSettings) samplerFunc {
	return func(ctx context.Context, r *Run) (*tensor.Tensor, error) {
		if len(r.Sigmas) <= 1 {
			return r.X, nil
		}
		settings := saSettings{predictor: 3, corrector: 4, pece: pece, eta: 1, strength: 1, start: r.Model.PercentToSigma(0.2), end: r.Model.PercentToSigma(0.8)}
		if o != nil {
			settings = *o
		}
		s := newSASolver(r, settings)
		for i := range len(r.Sigmas) - 1 {
			if err := s.step(ctx, i); err != nil {
				return nil, err
			}
		}
		return s.ahead, nil
	}
}

// saSolver is the state of a run: ahead is the predicted latent at the current level.
type saSolver struct {
	saSettings
	run         *Run
	source      NoiseSource
	lambdas     []float32
	x, ahead    *tensor.Tensor
	predictions []*tensor.Tensor // oldest first
	h, tau      float32
	noise       *tensor.Tensor // what the last predictor added
}

func newSASolver(r *Run, o saSettings) *saSolver {
	r.Sigmas = r.Model.offsetFirst(r.Sigmas)
	s := &saSolver{saSettings: o, run: r, source: r.fresh(), x: r.X, ahead: r.X}
	for _, sigma := range r.Sigmas {
		s.lambdas = append(s.lambdas, r.Model.halfLogSNR(sigma))
	}
	return s
}

func (s *saSolver) step(ctx context.Context, i int) error {
	r := s.run
	denoised, err := r.predict(ctx, i, s.ahead)
	if err != nil {
		return err
	}
	s.predictions = append(s.predictions, denoised)
	if len(s.predictions) > max(s.predictor, s.corrector) {
		s.predictions = s.predictions[1:]
	}
	to := r.Sigmas[i+1]
	predictor, corrector := min(s.predictor, len(s.predictions)), min(s.corrector, len(s.predictions))
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
		s.x = s.adams(i, corrector, i-1, i, true)
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
	if v := float64(to); s.eta > 0 && s.start >= v && v >= s.end {
		s.tau = s.eta
	}
	s.h = s.lambdas[i+1] - s.lambdas[i]
	s.ahead = s.adams(i, order, i, i+1, false)
	s.noise = nil
	if s.tau > 0 && s.strength > 0 {
		up := to * sqrt32(-expm132(-2*s.tau*s.tau*s.h)) * s.strength * s.run.Model.NoiseScale()
		s.noise = sum(term{up, s.source(from, to)})
		s.ahead = sum(term{1, s.ahead}, term{1, s.noise})
	}
}

// adams returns the state at level to, from the one at level from and the latest predictions, whose newest is that of
// level newest. correct reports that the newest one is that of the level to.
func (s *saSolver) adams(newest, order, from, to int, correct bool) *tensor.Tensor {
	sigmas := s.run.Sigmas
	decay := sigmas[to] / sigmas[from] * exp32(-s.tau*s.tau*s.h)
	terms := []term{{decay, s.x}}
	points := s.lambdas[newest-order+1 : newest+1]
	alpha := sigmas[to] * exp32(s.lambdas[to])
	latest := s.predictions[len(s.predictions)-order:]
	weights := adamsCoefficients
	if s.simple && order == 2 {
		weights = simplePredictor
		if correct {
			weights = simpleCorrector
		}
	}
	for k, b := range weights(points, s.lambdas[from], s.lambdas[to], s.tau) {
		terms = append(terms, term{alpha * float32(b), latest[k]})
	}
	return sum(terms...)
}

// simplePredictor and simpleCorrector are the paper's shorter forms of order 2 (its appendix D).
func simplePredictor(points []float32, start, end, tau float32) []float64 {
	m, h := 1+float64(tau)*float64(tau), float64(end)-float64(start)
	older := 0.5 * m * h * h / (float64(points[0]) - float64(start))
	return []float64{older, -math.Expm1(-h*m) - older}
}

func simpleCorrector(_ []float32, start, end, tau float32) []float64 {
	m, h := 1+float64(tau)*float64(tau), float64(end)-float64(start)
	newer := 0.5 * m * h
	return []float64{-math.Expm1(-h*m) - newer, newer}
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
