package sampling

import (
	"context"
	"math"

	"comfygo/engine/tensor"
)

// FreSca multiplies the guidance by low at frequencies of up to cutoff periods in both directions of the image and by high at all
// others (Huang et al., "FreSca: Scaling in Frequency Space Enhances Diffusion Models", arXiv 2504.02154).
func FreSca(low, high float64, cutoff int) BeforeFunc {
	return func(_ context.Context, g Guidance, sides []*tensor.Tensor) ([]*tensor.Tensor, error) {
		if len(sides) < 2 || !g.HasCond || !g.HasUncond {
			return sides, nil
		}
		uncond := sides[1]
		guidance := sum(term{1, sides[0]}, term{-1, uncond})
		h, w := guidance.Dim(-2), guidance.Dim(-1)
		rows, columns := newBand(h, cutoff), newBand(w, cutoff)
		for at := 0; at < len(guidance.Data); at += h * w {
			plane := guidance.Data[at : at+h*w]
			slow := lowFrequencies(plane, rows, columns)
			for i, v := range plane {
				plane[i] = float32(high*float64(v) + (low-high)*slow[i])
			}
		}
		out := append([]*tensor.Tensor{sum(term{1, guidance}, term{1, uncond})}, sides[1:]...)
		return out, nil
	}
}

// band is the lower part of the discrete Fourier transform of n values: waves[k*n+i] is exp(2πi·f·i/n) for the frequencies f from
// -half to half-1.
type band struct {
	n, count int
	waves    []complex128
}

func newBand(n, cutoff int) band {
	half := min(cutoff, n/2)
	b := band{n: n, count: 2 * half, waves: make([]complex128, 2*half*n)}
	for k := range b.count {
		for i := range n {
			sin, cos := math.Sincos(2 * math.Pi * float64((k-half)*i%n) / float64(n))
			b.waves[k*n+i] = complex(cos, sin)
		}
	}
	return b
}

// lowFrequencies returns what a plane of values has in both bands, the real part of it.
func lowFrequencies(plane []float32, rows, columns band) []float64 {
	h, w := rows.n, columns.n
	part := make([]complex128, h*columns.count) // each line's frequencies
	for y := range h {
		for k := range columns.count {
			var s complex128
			for x, wave := range columns.waves[k*w : (k+1)*w] {
				v := float64(plane[y*w+x])
				s += complex(v*real(wave), -v*imag(wave))
			}
			part[y*columns.count+k] = s
		}
	}
	both := make([]complex128, rows.count*columns.count)
	for j := range rows.count {
		for y, wave := range rows.waves[j*h : (j+1)*h] {
			wave = complex(real(wave), -imag(wave))
			for k, v := range part[y*columns.count : (y+1)*columns.count] {
				both[j*columns.count+k] += wave * v
			}
		}
	}
	clear(part)
	for j := range rows.count {
		for y, wave := range rows.waves[j*h : (j+1)*h] {
			for k, v := range both[j*columns.count : (j+1)*columns.count] {
				part[y*columns.count+k] += wave * v
			}
		}
	}
	out := make([]float64, h*w)
	for y := range h {
		line := out[y*w : (y+1)*w]
		for k, v := range part[y*columns.count : (y+1)*columns.count] {
			for x, wave := range columns.waves[k*w : (k+1)*w] {
				line[x] += real(wave)*real(v) - imag(wave)*imag(v)
			}
		}
		for x := range line {
			line[x] /= float64(h * w)
		}
	}
	return out
}
