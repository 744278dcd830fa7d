package imaging

import "math"

// Gaussian returns a kernel of side x side values that sum to 1, for Convolve. It spans -1…1 in both directions, so that
// sigma counts in half sides. Upstream: nodes_post_processing.gaussian_kernel.
func Gaussian(side int, sigma float64) []float32 {
	out := make([]float32, side*side)
	var sum float64
	at := func(i int) float32 { return -1 + 2*float32(i)/float32(side-1) }
	for i := range out {
		y, x := at(i/side), at(i%side)
		d := float64(float32(math.Sqrt(float64(x*x + y*y))))
		out[i] = float32(math.Exp(float64(float32(-(d * d) / (2 * sigma * sigma)))))
		sum += float64(out[i])
	}
	for i := range out {
		out[i] /= float32(sum)
	}
	return out
}

// gaussianRow is one direction of Gaussian: its values sum to 1, and the products of two are Gaussian's but for rounding.
func gaussianRow(side int, sigma float64) []float32 {
	exact, sum := make([]float64, side), 0.0
	for i := range exact {
		x := -1 + 2*float64(i)/float64(side-1)
		exact[i] = math.Exp(-x * x / (2 * sigma * sigma))
		sum += exact[i]
	}
	out := make([]float32, side)
	for i, v := range exact {
		out[i] = float32(v / sum)
	}
	return out
}
