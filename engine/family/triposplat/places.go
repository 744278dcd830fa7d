package triposplat

import (
	"math"

	"comfygo/engine/tensor"
	"comfygo/engine/torchrand"
)

// axes is the number of coordinates of a place.
const axes = 3

// anchorSeed is that of the places of vectors. Upstream: LatentSeqMMFlowModel.
const anchorSeed = 123

// anchors are the positions [1,n,width] of n vectors, which stand at the points of a Sobol sequence. Upstream: PcdAbsolutePositionEmbedder with the schedule
// pow2; the product of a coordinate and a frequency is rounded to float32 as there.
func anchors(n, width int) *tensor.Tensor {
	const octaves = 16
	points := torchrand.Sobol3(anchorSeed, n)
	count := width / axes / 2
	frequencies := make([]float32, count)
	rest := max(count-octaves, 0)
	for i := range frequencies {
		exponent := float32(i)
		if i >= octaves {
			exponent = float32(i-octaves) / float32(rest) * octaves
		}
		frequencies[i] = float32(math.Pow(2, float64(exponent))) * 2
	}
	out := tensor.New(1, n, width)
	for i, p := range points {
		row := out.Data[i/axes*width+i%axes*2*count:]
		for k, f := range frequencies {
			sin, cos := math.Sincos(float64(p * f * math.Pi))
			row[k], row[count+k] = float32(sin), float32(cos)
		}
	}
	return out
}

// octaves are the frequencies at which points are embedded, from 1 to 1024. Upstream: PcdAbsolutePositionEmbedder with the schedule log2.
func octaves(count int) []float32 {
	const last = 10
	out := make([]float32, count)
	step := float32(last) / float32(max(count-1, 1))
	for i := range out {
		exponent := step * float32(i)
		if i >= count/2 {
			exponent = last - step*float32(count-1-i)
		}
		out[i] = float32(math.Pow(2, float64(exponent)))
	}
	return out
}
