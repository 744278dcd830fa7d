package unet

import "math"

// TimestepEmbedding appends the sinusoidal embedding of v, of an even width, to dst: cosines, then sines, of frequencies
// that fall from 1 to 1/10000 (upstream: ldm/modules/diffusionmodules/util.py timestep_embedding; Vaswani et al. 2017,
// section 3.5).
func TimestepEmbedding(dst []float32, v float64, width int) []float32 {
	const period = 10000
	half := width / 2
	angles := make([]float64, half)
	for i := range angles {
		freq := float32(math.Exp(float64(float32(-math.Log(period)) * float32(i) / float32(half))))
		angles[i] = float64(float32(v) * freq)
	}
	for _, a := range angles {
		dst = append(dst, float32(math.Cos(a)))
	}
	for _, a := range angles {
		dst = append(dst, float32(math.Sin(a)))
	}
	return dst
}
