package hydit

import (
	"math"

	"comfygo/engine/family/dit"
)

// places are the positions of the tokens of an image, column and row, scaled so that the longer side spans the side of a
// 512x512 image and the other one is centred. Upstream: posemb_layers.py get_fill_resize_and_crop, get_meshgrid.
func places(g dit.Grid) []float64 {
	const base = 512 / 8 / side
	h, w := base, base
	if g.Height > g.Width {
		w = int(math.RoundToEven(base / float64(g.Height) * float64(g.Width)))
	} else {
		h = int(math.RoundToEven(base / float64(g.Width) * float64(g.Height)))
	}
	at := func(size, i, n int) float64 {
		start := int(math.RoundToEven(float64(base-size) / 2))
		return float64(float32(float64(start) + float64(i)*(float64(size)/float64(n))))
	}
	var pos []float64
	for i := range g.Tokens() {
		pos = append(pos, at(w, i%g.Width, g.Width), at(h, i/g.Width, g.Height))
	}
	return pos
}
