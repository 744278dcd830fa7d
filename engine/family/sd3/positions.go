package sd3

import (
	"fmt"
	"math"

	"comfygo/engine/family/dit"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// Positions returns the embeddings of positions [1,h·w,H] for the patches of a latent: the middle of the file's table, or
// computed ones where it has none. Upstream: MMDiT.cropped_pos_embed.
func (c Config) Positions(src weights.Source, g dit.Grid) (*tensor.Tensor, error) {
	out := tensor.New(1, g.Tokens(), c.Hidden)
	if c.Side == 0 {
		c.computed(out.Data, g)
		return out, nil
	}
	if g.Height > c.Side || g.Width > c.Side {
		return nil, fmt.Errorf("%d by %d patches are more than the %d by %d for which it has positions: use a smaller image", g.Height, g.Width, c.Side, c.Side)
	}
	table, ok := src.Lookup("pos_embed")
	if !ok {
		return nil, fmt.Errorf("pos_embed is missing")
	}
	top, left := (c.Side-g.Height)/2, (c.Side-g.Width)/2
	row := g.Width * c.Hidden
	for y := range g.Height {
		if err := weights.Range(out.Data[y*row:(y+1)*row], table, ((top+y)*c.Side+left)*c.Hidden); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// computed fills in sines and cosines: of the column in the first half of a vector, of the row in the second. Upstream:
// get_2d_sincos_pos_embed_torch.
func (c Config) computed(to []float32, g dit.Grid) {
	const middle = 7.5
	small := float64(min(g.Height, g.Width))
	at := func(i, n int) float64 {
		span := float64(n) / small * middle
		if n == 1 {
			return middle - span
		}
		return middle - span + 2*span*float64(i)/float64(n-1)
	}
	half := c.Hidden / 2
	for token := range g.Tokens() {
		v := to[token*c.Hidden:]
		for axis, p := range []float64{at(token%g.Width, g.Width), at(token/g.Width, g.Height)} {
			for i := range half / 2 {
				angle := p / math.Pow(10000, float64(i)/float64(half/2))
				v[axis*half+i], v[axis*half+half/2+i] = float32(math.Sin(angle)), float32(math.Cos(angle))
			}
		}
	}
}
