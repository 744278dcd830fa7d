package sampling

import (
	"context"

	"comfygo/engine/tensor"
)

// history keeps the latest slopes of a multistep method, newest first.
type history []*tensor.Tensor

func (h history) push(d *tensor.Tensor, keep int) history {
	h = append(history{d}, h...)
	return h[:min(len(h), keep)]
}

// adamsBashforth are the coefficients of the explicit methods of orders 1 to 4, newest slope first.
var adamsBashforth = [][]float32{
	{1},
	{3. / 2, -1. / 2},
	{23. / 12, -16. / 12, 5. / 12},
	{55. / 24, -59. / 24, 37. / 24, -9. / 24},
}

// sampleIPNDM is the improved pseudo numerical method of order 4 (Zhang and Chen, 2023) after zju-pi's diff-sampler.
func sampleIPNDM(ctx context.Context, r *Run) (*tensor.Tensor, error) {
	return r.slopeMultistep(ctx, 4, false, func(i, order int) []float32 {
		dt := r.Sigmas[i+1] - r.Sigmas[i]
		out := make([]float32, order)
		for k, c := range adamsBashforth[order-1] {
			out[k] = dt * c
		}
		return out
	})
}

// slopeMultistep adds to x, in each step, the latest slopes with the factors that coefficients gives, newest first. The
// last step to zero takes the prediction itself, or, with eulerEnd, a straight step, which is the same except for rounding.
func (r *Run) slopeMultistep(ctx context.Context, maxOrder int, eulerEnd bool, coefficients func(i, order int) []float32) (*tensor.Tensor, error) {
	x := r.X
	var slopes history
	for i := range len(r.Sigmas) - 1 {
		denoised, err := r.predict(ctx, i, x)
		if err != nil {
			return nil, err
		}
		slopes = slopes.push(slope(x, r.Sigmas[i], denoised), maxOrder)
		switch {
		case r.Sigmas[i+1] == 0 && eulerEnd:
			x = along(x, slopes[0], -r.Sigmas[i])
		case r.Sigmas[i+1] == 0:
			x = denoised
		default:
			terms := []term{{1, x}}
			for k, c := range coefficients(i, len(slopes)) {
				terms = append(terms, term{c, slopes[k]})
			}
			x = sum(terms...)
		}
	}
	return x, nil
}

// sampleIPNDMV is sampleIPNDM with coefficients for steps of different lengths.
func sampleIPNDMV(ctx context.Context, r *Run) (*tensor.Tensor, error) {
	return r.slopeMultistep(ctx, 4, false, func(i, order int) []float32 {
		t := func(back int) float64 { return float64(r.Sigmas[i-back]) }
		h := float64(r.Sigmas[i+1]) - t(0)
		var c []float64
		switch order {
		case 1:
			c = []float64{1}
		case 2:
			h1 := t(0) - t(1)
			c = []float64{(2 + h/h1) / 2, -(h / h1) / 2}
		case 3:
			c = ipndm3(h, t(0)-t(1), t(1)-t(2))
		default:
			c = ipndm4(h, t(0)-t(1), t(1)-t(2), t(2)-t(3))
		}
		out := make([]float32, len(c))
		for k := range c {
			out[k] = float32(h * c[k])
		}
		return out
	})
}

func ipndm3(h, h1, h2 float64) []float64 {
	a := (1 - h/(3*(h+h1))*(h*(h+h1))/(h1*(h1+h2))) / 2
	return []float64{(2+h/h1)/2 + a, -(h/h1)/2 - (1+h1/h2)*a, a * h1 / h2}
}

func ipndm4(h, h1, h2, h3 float64) []float64 {
	a := (1 - h/(3*(h+h1))*(h*(h+h1))/(h1*(h1+h2))) / 2
	b := ((1-h/(3*(h+h1)))/2 + (1-h/(2*(h+h1)))*h/(6*(h+h1+h2))) *
		(h * (h + h1) * (h + h1 + h2)) / (h1 * (h1 + h2) * (h1 + h2 + h3))
	q := h1 * (h1 + h2) / (h2 * (h2 + h3))
	return []float64{
		(2+h/h1)/2 + a + b,
		-(h/h1)/2 - (1+h1/h2)*a - (1+h1/h2+q)*b,
		a*h1/h2 + (h1/h2+q*(1+h2/h3))*b,
		-b * q * h1 / h2,
	}
}
