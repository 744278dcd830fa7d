package lm

import "math"

// positions are where tokens stand: on one axis for text, on three (time, row, column) where images are among them.
type positions [][]int

// inOrder returns the positions of n tokens from a first one on.
func inOrder(from, n int) positions {
	p := make([]int, n)
	for i := range p {
		p[i] = from + i
	}
	return positions{p}
}

// angles returns the cosines and sines [tokens,HeadDim/2] of layers of one kind, 0 for global layers. They are computed in
// float32 step by step, as upstream does: at the thousandth token the difference to exact angles would show (upstream:
// llama.py precompute_freqs_cis).
func (c Config) angles(p positions, kind int) (cos, sin []float32) {
	half := c.HeadDim / 2
	for t := range p[0] {
		for i := range half {
			exponent := float32(2*i) / float32(c.HeadDim)
			frequency := 1 / float32(math.Pow(c.theta[kind], float64(exponent)))
			if c.scale != nil {
				frequency /= float32(c.scale[kind])
			}
			angle := frequency * float32(p[c.axis(len(p), i)][t])
			cos, sin = append(cos, float32(math.Cos(float64(angle)))), append(sin, float32(math.Sin(float64(angle))))
		}
	}
	return cos, sin
}

// axis is the axis by which the i-th frequency turns.
func (c Config) axis(axes, i int) int {
	if axes == 1 || c.sections == nil {
		return 0
	}
	if c.alternating {
		if a := i % 3; a > 0 && i < 3*c.sections[a] {
			return a
		}
		return 0
	}
	for a, n := range c.sections {
		if i < n {
			return a
		}
		i -= n
	}
	return 0
}
