package ltxv

import (
	"math"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
)

// corners are the first and the last corner of a token on each axis: frames, rows and columns of pixels.
type corners [3][2]float32

// places returns the corners of the cells of a latent with the given number of frames, rows and columns. Upstream:
// symmetric_patchifier.py latent_to_pixel_coords.
func places(frames, rows, columns int, causal bool) []corners {
	out := make([]corners, 0, frames*rows*columns)
	for f := range frames {
		for r := range rows {
			for k := range columns {
				c := corners{{float32(f * pace), float32((f + 1) * pace)}, {float32(r * cell), float32((r + 1) * cell)}, {float32(k * cell), float32((k + 1) * cell)}}
				if causal { // the first latent frame is a single frame
					for i := range c[0] {
						c[0][i] = max(c[0][i]+1-pace, 0)
					}
				}
				out = append(out, c)
			}
		}
	}
	return out
}

// frequencies are those by which an axis turns, count of them. Upstream computes them in the stated precision.
func frequencies(theta float64, count int, precision string) []float32 {
	out := make([]float32, count)
	if precision == "float64" {
		for i := range out {
			out[i] = float32(math.Pow(theta, float64(i)/float64(max(count-1, 1))) * math.Pi / 2)
		}
		return out
	}
	step := 1 / float32(max(count-1, 1))
	for i := range out {
		at := float32(i) * step // torch.linspace counts from the nearer end
		if i >= count/2 && count > 1 {
			at = 1 - float32(count-1-i)*step
		}
		out[i] = float32(float32(math.Pow(theta, float64(at)))*math.Pi) / 2
	}
	return out
}

// angles are the cosines and sines of tokens at the given places, [1,S·heads,D/2]: the rotation differs from head to head.
// rate is the number of frames a second. Upstream: precompute_freqs_cis.
func (c config) angles(at []corners, rate float64) []family.Value {
	return c.settings.rotaryOf("cos", "sin", c.hidden, c.heads, inSeconds(at, rate), c.Middle)
}

// inSeconds are places whose time is in seconds, one list an axis.
func inSeconds(at []corners, rate float64) [][][2]float32 {
	second := float32(1 / rate)
	out := make([][][2]float32, len(corners{}))
	for axis := range out {
		out[axis] = make([][2]float32, len(at))
		for i, place := range at {
			p := place[axis]
			if axis == 0 {
				p[0], p[1] = p[0]*second, p[1]*second
			}
			out[axis][i] = p
		}
	}
	return out
}

// rotaryOf are the angles of tokens with the given number of values at places on some axes, as far as Reach says: at the middle of a token or at its
// first corner.
func (s settings) rotaryOf(cosName, sinName string, hidden, heads int, at [][][2]float32, middle bool) []family.Value {
	axes, tokens := len(at), len(at[0])
	freq := frequencies(s.Theta, hidden/(2*axes), s.Precision)
	half := hidden / 2
	skip := half - len(freq)*axes // values that do not turn come first
	cos, sin := make([]float32, tokens*half), make([]float32, tokens*half)
	part := make([]float32, axes)
	for t := range tokens {
		for axis := range part {
			p := at[axis][t]
			x := p[0]
			if middle {
				x = (p[0] + p[1]) / 2
			}
			part[axis] = x/float32(s.Reach[axis])*2 - 1
		}
		row, col := cos[t*half:(t+1)*half], sin[t*half:(t+1)*half]
		for i := range skip {
			row[i] = 1
		}
		for i, f := range freq {
			for axis, x := range part {
				angle := float64(f * x)
				row[skip+i*axes+axis], col[skip+i*axes+axis] = float32(math.Cos(angle)), float32(math.Sin(angle))
			}
		}
	}
	shape := []int{1, tokens * heads, half / heads}
	return []family.Value{
		family.Floats(cosName, &tensor.Tensor{Shape: shape, Data: cos}), family.Floats(sinName, &tensor.Tensor{Shape: shape, Data: sin}),
	}
}
