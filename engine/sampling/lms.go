package sampling

import (
	"context"
	"math"

	"comfygo/engine/tensor"
)

// sampleLMS is the linear multistep method of the given order with exact coefficients (Katherine Crowson's k-diffusion).
func sampleLMS(order int) samplerFunc {
	return func(ctx context.Context, r *Run) (*tensor.Tensor, error) {
		x, rule := r.X, newGaussRule((order+1)/2)
		var slopes history
		for i := range len(r.Sigmas) - 1 {
			denoised, err := r.predict(ctx, i, x)
			if err != nil {
				return nil, err
			}
			slopes = slopes.push(slope(x, r.Sigmas[i], denoised), order)
			if r.Sigmas[i+1] == 0 {
				x = denoised
				continue
			}
			terms := []term{{1, x}}
			for j := range slopes {
				terms = append(terms, term{float32(rule.lagrange(r.Sigmas, len(slopes), i, j)), slopes[j]})
			}
			x = sum(terms...)
		}
		return x, nil
	}
}

// gaussRule integrates polynomials over [-1,1]: n nodes are exact up to degree 2n-1 (Gauss and Legendre).
type gaussRule struct {
	nodes, weights []float64
}

// newGaussRule finds the roots of the n-th Legendre polynomial by Newton's method.
func newGaussRule(n int) gaussRule {
	g := gaussRule{make([]float64, n), make([]float64, n)}
	for i := range n {
		x := math.Cos(math.Pi * (float64(i) + 0.75) / (float64(n) + 0.5))
		var derivative float64
		for range 50 {
			value, before := 1.0, 0.0
			for k := 1; k <= n; k++ {
				value, before = (float64(2*k-1)*x*value-float64(k-1)*before)/float64(k), value
			}
			derivative = float64(n) * (x*value - before) / (x*x - 1)
			step := value / derivative
			if x -= step; math.Abs(step) < 1e-15 {
				break
			}
		}
		g.nodes[i], g.weights[i] = x, 2/((1-x*x)*derivative*derivative)
	}
	return g
}

// lagrange integrates, from level i to level i+1, the polynomial of degree order-1 that is 1 at level i-j and 0 at the
// other latest levels.
func (g gaussRule) lagrange(levels []float32, order, i, j int) float64 {
	from, to := float64(levels[i]), float64(levels[i+1])
	total := 0.0
	for n, u := range g.nodes {
		tau, product := from+(u+1)/2*(to-from), 1.0
		for k := range order {
			if k != j {
				product *= (tau - float64(levels[i-k])) / (float64(levels[i-j]) - float64(levels[i-k]))
			}
		}
		total += g.weights[n] * product
	}
	return total * (to - from) / 2
}
