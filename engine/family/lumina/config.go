package lumina

import (
	"fmt"
	"math"

	"comfygo/engine/family/latents"
	"comfygo/engine/weights"
)

// Config is the part of a network's config that follows from the shapes of a file, and the part shared by all models of a
// family.
type Config struct {
	// Channels are the channels of a latent, Patch is the side of a token.
	Channels, Patch int
	// Dim is the width of a token, Text that of the text encoding, Hidden that between the matrices of a block's MLP.
	Dim, Text, Hidden int
	// Heads and KVHeads count the attention's heads of queries and of keys, each HeadDim wide.
	Heads, KVHeads, HeadDim int
	// Layers, Noise and Context count the blocks of the stack, of the image's refiner and of the text's.
	Layers, Noise, Context int
	// Axes are the widths of a head that the three axes of a position turn, Theta is the base of their angles.
	Axes  [3]int
	Theta float64
	// TimeScale multiplies the time, which runs from 0 for noise to 1.
	TimeScale float32
	// Pad, when set, is the number to multiples of which text and image tokens are padded with learned tokens.
	Pad int
	// Pooled is the width of the pooled text encoding that NewBie adds to the time, 0 for none.
	Pooled int
	// Pixel, when set, is the width of the network that computes the pixels of a token, whose Channels are those of an image;
	// Frequencies is the number of frequencies of a place that it reads.
	Pixel, Frequencies int
	// Vision is the width of the encoding of reference images that the omni model reads beside their latents, 0 for none.
	Vision int
	// Plain reports that the modulation is a linear layer of the time's embedding, without an activation before it.
	Plain bool
}

// eps and headEps are those of the RMS norms of blocks and of heads (torch's own where the module states none).
const (
	eps      = 1e-5
	headEps  = 1.1920928955078125e-07
	finalEps = 1e-6
)

// timeWidth is the width of the sinusoidal embedding of the time.
const timeWidth = 256

// read reads the config from the shapes.
func read(s *weights.Scope, z bool) (Config, error) {
	dim := func(name string, axis int) int {
		if sh := s.Shape(name); axis < len(sh) {
			return sh[axis]
		}
		return 0
	}
	const block = "noise_refiner.0."
	c := Config{
		Patch: 2, Dim: dim("cap_embedder.1.weight", 0), Text: dim("cap_embedder.1.weight", 1), HeadDim: dim(block+"attention.k_norm.weight", 0),
		Hidden: dim(block+"feed_forward.w1.weight", 0), Pooled: dim("clip_text_pooled_proj.0.weight", 0), Vision: dim("siglip_embedder.0.weight", 0),
		Layers: s.Count("layers"), Noise: s.Count("noise_refiner"), Context: s.Count("context_refiner"), TimeScale: 1, Theta: 10000,
	}
	c.Channels = dim("x_embedder.weight", 1) / (c.Patch * c.Patch)
	if embed := dim("dec_net.input_embedder.embedder.0.weight", 1); embed > 0 {
		token := dim("x_embedder.weight", 1)
		c.Pixel, c.Channels = dim("dec_net.cond_embed.weight", 0), latents.Pixels.Channels
		c.Patch, c.Frequencies = root(token/c.Channels), root(embed-token)
		if c.Patch*c.Patch*c.Channels != token || c.Frequencies*c.Frequencies != embed-token || c.Pixel < 1 {
			return c, fmt.Errorf("its shapes make no network of pixels: tokens of %d values, which it reads beside %d, and width %d", token, embed-token, c.Pixel)
		}
	}
	if c.HeadDim > 0 {
		c.Heads = dim(block+"attention.out.weight", 1) / c.HeadDim
		c.KVHeads = dim(block+"attention.to_k.weight", 0) / c.HeadDim
		if c.KVHeads == 0 {
			c.KVHeads = (dim(block+"attention.qkv.weight", 0)/c.HeadDim - c.Heads) / 2
		}
	}
	d := c.HeadDim
	c.Axes = [3]int{d - 2*(d/3), d / 3, d / 3}
	if z {
		c.Axes, c.Theta, c.TimeScale, c.Plain = [3]int{d / 4, d * 3 / 8, d * 3 / 8}, 256, 1000, true
		if s.Has("cap_pad_token") {
			c.Pad = 32
		}
	}
	return c, c.validate(s)
}

// root is the square root of a number, rounded.
func root(n int) int { return int(math.Round(math.Sqrt(float64(max(n, 0))))) }

// validate fails for shapes that make no network, and for the variants that are not built.
func (c Config) validate(s *weights.Scope) error {
	switch {
	case s.Has("dec_net.cond_embed.weight") && c.Pixel == 0:
		return fmt.Errorf("it lacks the network that makes pixels: dec_net.input_embedder.embedder.0.weight is not there")
	case c.Dim < 1 || c.Text < 1 || c.Channels < 1 || c.HeadDim < 8 || c.Heads < 1 || c.KVHeads < 1 || c.Heads%c.KVHeads != 0:
		return fmt.Errorf("its shapes make no network: width %d, text %d, %d channels, %d heads of %d and %d of keys", c.Dim, c.Text, c.Channels, c.Heads, c.HeadDim, c.KVHeads)
	case c.Axes[0]%2+c.Axes[1]%2+c.Axes[2]%2 != 0:
		return fmt.Errorf("heads of width %d cannot be turned by three axes", c.HeadDim)
	}
	return nil
}
