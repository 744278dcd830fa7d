package nn

import "math"

// RotaryTable returns the cosines and sines of rotary position embeddings for tokens with a position on each of several
// axes, [tokens, D/2] each, row-major. positions are [tokens, len(dims)]; dims are the widths of a head that each axis
// takes, even numbers whose sum is D. Pair i of an axis of width d turns by position·theta^(-2i/d). It is computed in
// float64, as upstream does where the device has that type (comfy/ldm/flux/math.py rope).
func RotaryTable(positions []float64, theta float64, dims ...int) (cos, sin []float32) {
	thetas := make([]float64, len(dims))
	for i := range thetas {
		thetas[i] = theta
	}
	return RotaryTables(positions, thetas, dims...)
}

// RotaryTables is RotaryTable with a theta of its own for each axis.
func RotaryTables(positions, thetas []float64, dims ...int) (cos, sin []float32) {
	axes := len(dims)
	for token := range len(positions) / max(axes, 1) {
		for axis, d := range dims {
			p := positions[token*axes+axis]
			for i := range d / 2 {
				angle := p * math.Pow(thetas[axis], -2*float64(i)/float64(d))
				cos, sin = append(cos, float32(math.Cos(angle))), append(sin, float32(math.Sin(angle)))
			}
		}
	}
	return cos, sin
}
