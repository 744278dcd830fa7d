package sampling

import (
	"context"

	"comfygo/engine/tensor"
)

// sampleUniPC returns the unified predictor-corrector of order 3 (Zhao et al., "UniPC", arXiv 2302.04867) with either of its
// two choices of B(h).
func sampleUniPC(bh2 bool) samplerFunc {
	return func(ctx context.Context, r *Run) (*tensor.Tensor, error) {
		steps := len(r.Sigmas) - 1
		if r.Sigmas[steps] == 0 { // for what comes after the sampler too
			r.Sigmas[steps] = 0.001
		}
		u := &uniPC{run: r, bh2: bh2, levels: r.Sigmas}
		u.order = min(3, len(u.levels)-2)
		root := sqrt32(1 + u.levels[0]*u.levels[0])
		u.x = quotient(r.X, root)
		for i := range steps {
			if err := u.step(ctx, i, steps); err != nil {
				return nil, err
			}
			r.Step(i, u.x, u.predictions[len(u.predictions)-1])
		}
		alpha := exp32(logAlpha(u.levels[steps]))
		return quotient(u.x, alpha), nil
	}
}

// uniPC is the state of a run. Its latents have constant variance: x/sqrt(1+sigma²).
type uniPC struct {
	run         *Run
	bh2         bool
	order       int
	levels      []float32
	x           *tensor.Tensor
	predictions []*tensor.Tensor // oldest first
	at          []float32        // the levels of the predictions
}

// logAlpha, deviation and halfSNR belong to a level of growing variance. Their float32 steps are upstream's: near the last
// level the rounding is much of the result.
func logAlpha(sigma float32) float32 { return 0.5 * log32(1/(float32(sigma*sigma)+1)) }

func deviation(sigma float32) float32 { return sqrt32(1 - exp32(2*logAlpha(sigma))) }

func halfSNR(sigma float32) float32 {
	l := logAlpha(sigma)
	return l - 0.5*log32(1-exp32(2*l))
}

// predict returns the clean latent in terms of constant variance.
func (u *uniPC) predict(ctx context.Context, x *tensor.Tensor, sigma float32) (*tensor.Tensor, error) {
	grown := sum(term{sqrt32(sigma*sigma + 1), x})
	denoised, err := u.run.Denoise(ctx, grown, sigma)
	if err != nil {
		return nil, err
	}
	eps := slope(grown, sigma, denoised)
	alpha, dev := exp32(logAlpha(sigma)), deviation(sigma)
	return quotient(sum(term{1, x}, term{-dev, eps}), alpha), nil
}

// step runs step i of the method: the first only predicts, and the last one continues to the final level.
func (u *uniPC) step(ctx context.Context, i, steps int) error {
	switch {
	case i == 0:
		d, err := u.predict(ctx, u.x, u.levels[0])
		u.remember(d, u.levels[0])
		return err
	case i < u.order:
		return u.advance(ctx, u.levels[i], i, true)
	}
	if err := u.advance(ctx, u.levels[i], min(u.order, steps+1-i), true); err != nil || i < steps-1 {
		return err
	}
	return u.advance(ctx, u.levels[steps], min(u.order, 1), false)
}

func (u *uniPC) remember(d *tensor.Tensor, sigma float32) {
	u.predictions, u.at = append(u.predictions, d), append(u.at, sigma)
	if len(u.at) > max(u.order, 1) {
		u.predictions, u.at = u.predictions[1:], u.at[1:]
	}
}

// advance moves x to a level with a method of the given order and, unless it is the last level, corrects it with the
// prediction made there.
func (u *uniPC) advance(ctx context.Context, sigma float32, order int, correct bool) error {
	n := len(u.at) - 1
	last, latest := u.at[n], u.predictions[n]
	start := halfSNR(last)
	h := halfSNR(sigma) - start
	hPhi1 := expm132(-h)
	ratios := make([]float32, 0, order)
	var terms []*tensor.Tensor
	for k := 1; k < order; k++ {
		ratio := (halfSNR(u.at[n-k]) - start) / h
		ratios = append(ratios, ratio)
		terms = append(terms, slope(u.predictions[n-k], ratio, latest))
	}
	ratios = append(ratios, 1)
	alpha := exp32(logAlpha(sigma))
	base := sum(term{deviation(sigma) / deviation(last), u.x}, term{-(alpha * hPhi1), latest})
	matrix, moments, bh := u.system(ratios, -h)
	scale := -(alpha * bh)

	if u.x = base; len(terms) > 0 {
		u.x = sum(term{1, base}, term{scale, weighted(predictorWeights(matrix, moments), terms)})
	}
	if !correct {
		return nil
	}
	d, err := u.predict(ctx, u.x, sigma)
	if err != nil {
		return err
	}
	weights := []float32{0.5}
	if order > 1 {
		weights = narrowed(solve(matrix, moments))
	}
	terms = append(terms, sum(term{1, d}, term{-1, latest}))
	u.x = sum(term{1, base}, term{scale, weighted(weights, terms)})
	u.remember(d, sigma)
	return nil
}

// system returns the order conditions for the weights of the differences, and B(h).
func (u *uniPC) system(ratios []float32, hh float32) (matrix [][]float64, moments []float64, bh float32) {
	bh = hh
	if u.bh2 {
		bh = expm132(hh)
	}
	phi, factorial := expm132(hh)/hh-1, float32(1)
	for i := 1; i <= len(ratios); i++ {
		row := make([]float64, len(ratios))
		for k, r := range ratios {
			row[k] = float64(pow32(r, float32(i-1)))
		}
		matrix = append(matrix, row)
		moments = append(moments, float64(phi*factorial/bh))
		factorial *= float32(i + 1)
		phi = phi/hh - 1/factorial
	}
	return matrix, moments, bh
}

// predictorWeights solves the system without its last row and column; with one unknown it is known to be a half.
func predictorWeights(matrix [][]float64, moments []float64) []float32 {
	n := len(moments) - 1
	if n == 1 {
		return []float32{0.5}
	}
	part := make([][]float64, n)
	for i := range part {
		part[i] = append([]float64(nil), matrix[i][:n]...)
	}
	return narrowed(solve(part, append([]float64(nil), moments[:n]...)))
}

func narrowed(v []float64) []float32 {
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = float32(x)
	}
	return out
}

func weighted(weights []float32, values []*tensor.Tensor) *tensor.Tensor {
	terms := make([]term, len(values))
	for i, v := range values {
		terms[i] = term{weights[i], v}
	}
	return sum(terms...)
}
