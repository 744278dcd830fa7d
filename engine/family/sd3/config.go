package sd3

import (
	"fmt"
	"math"

	"comfygo/engine/weights"
)

// headWidth is the width of an attention head.
const headWidth = 64

// Config describes a network of this kind. Which blocks have a second attention and where text tokens end is read off the
// keys.
type Config struct {
	// Hidden is the width of a token, Channels those of the latent, Patch the side of a patch.
	Hidden, Channels, Patch int
	// Context is the width of the text encoding, Vector that of the pooled one, 0 for none.
	Context, Vector int
	// Side is the side of the table of positions in patches; 0 for computed positions.
	Side int
}

// ReadConfig reads the config off a network, or from the half of it that a ControlNet has.
func ReadConfig(s *weights.Scope) (Config, error) {
	in, text := s.Shape("x_embedder.proj.weight"), s.Shape("context_embedder.weight")
	if len(in) != 4 || in[0] < headWidth || in[0]%headWidth != 0 || in[2] != in[3] || in[2] < 1 {
		return Config{}, fmt.Errorf("reading the shape of the network: x_embedder.proj.weight is %v, wanted heads of %d and square patches", in, headWidth)
	}
	if len(text) != 2 {
		return Config{}, fmt.Errorf("reading the shape of the network: context_embedder.weight is %v, wanted two dimensions", text)
	}
	c := Config{Hidden: in[0], Channels: in[1], Patch: in[2], Context: text[1]}
	if y := s.Shape("y_embedder.mlp.0.weight"); len(y) == 2 {
		c.Vector = y[1]
	}
	if p := s.Shape("pos_embed"); p != nil {
		if len(p) != 3 || p[2] != c.Hidden {
			return c, fmt.Errorf("reading the shape of the network: pos_embed is %v, wanted vectors of %d", p, c.Hidden)
		}
		c.Side = int(math.Round(math.Sqrt(float64(p[1]))))
		if c.Side*c.Side != p[1] {
			return c, fmt.Errorf("reading the shape of the network: pos_embed has %d positions, which are no square", p[1])
		}
	}
	return c, nil
}
