package dit

import (
	"math"

	"comfygo/engine/tensor"
)

// PixelPlaces are embeddings of the places of pixels in a patch of side by side pixels, [1,side²,n²]: products of cosines of n
// frequencies from 0 to last along each axis, the less weighted the higher both are. Upstream: NerfEmbedder.fetch_pos.
func PixelPlaces(side, n int, last float32) *tensor.Tensor {
	out := tensor.New(1, side*side, n*n)
	step := 1 / float32(max(side-1, 1))
	freq := func(i int) float64 { return float64(last / float32(max(n-1, 1)) * float32(i)) }
	at := func(place, i int) float64 { return math.Cos(float64(float32(place)*step) * freq(i) * math.Pi) }
	for p := range side * side {
		row := out.Data[p*n*n:]
		for across := range n {
			for down := range n {
				row[across*n+down] = float32(at(p%side, across) * at(p/side, down) / (1 + freq(across)*freq(down)))
			}
		}
	}
	return out
}
