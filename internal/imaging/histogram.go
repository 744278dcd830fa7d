package imaging

import (
	"sort"

	"comfygo/engine/tensor"
)

const bins = 256

// Bin returns the histogram bin of a value in 0…1; NaN is in the first.
func Bin(v float32) int {
	switch v *= bins - 1; {
	case v >= bins-1:
		return bins - 1
	case v > 0:
		return int(v)
	}
	return 0
}

// HistogramTable returns for each channel the values that the 256 bins of images get to have the distribution of another.
func HistogramTable(images, reference *tensor.Tensor) [][bins]float32 {
	from, to := distribution(images), distribution(reference)
	out := make([][bins]float32, len(from))
	for c := range out {
		for i, share := range from[c] {
			at := sort.Search(bins, func(k int) bool { return to[c][k] >= share })
			out[c][i] = float32(min(at, bins-1)) / (bins - 1)
		}
	}
	return out
}

// distribution returns the cumulative shares of the bins of each channel of images [B,H,W,C].
func distribution(images *tensor.Tensor) [][bins]float32 {
	c := images.Shape[3]
	out := make([][bins]float32, c)
	counts := make([][bins]int, c)
	for i, v := range images.Data {
		counts[i%c][Bin(v)]++
	}
	for k := range out {
		sum := 0
		for i, n := range counts[k] {
			sum += n
			out[k][i] = float32(sum)
		}
		for i := range out[k] {
			out[k][i] /= float32(sum)
		}
	}
	return out
}
