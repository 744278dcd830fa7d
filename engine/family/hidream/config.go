// Package hidream is the family of HiDream: text and image tokens attend together, and of several experts' MLPs two serve
// each image token.
package hidream

import (
	"fmt"

	"comfygo/engine/weights"
)

// Config is the part of a network's config that follows from the shapes of a file.
type Config struct {
	// Channels are the channels of a latent, Patch is the side of a token.
	Channels, Patch int
	// Dim is the width of a token, Heads the number of attention heads.
	Dim, Heads int
	// Text, Layer and Vector are the widths of T5's encoding, of the language model's layers and of the pooled encoding.
	Text, Layer, Vector int
	// Double and Single count the blocks.
	Double, Single int
	// Experts is the number of experts, Hidden the width inside one.
	Experts, Hidden int
}

// headWidth is the width of a head, active the number of experts that serve a token, theta the base of the positions'
// angles.
const (
	headWidth = 128
	active    = 2
	theta     = 10000
)

// axes are the widths of a head that the axes of a position turn.
func (c Config) axes() []int { return []int{headWidth / 2, headWidth / 4, headWidth / 4} }

// read reads the config from the shapes.
func read(s *weights.Scope) (Config, error) {
	dim := func(name string, axis int) int {
		if sh := s.Shape(name); axis < len(sh) {
			return sh[axis]
		}
		return 0
	}
	c := Config{
		Patch: 2, Channels: dim("x_embedder.proj.weight", 1) / 4, Dim: dim("x_embedder.proj.weight", 0), Vector: dim("p_embedder.pooled_embedder.linear_1.weight", 1),
		Double: s.Count("double_stream_blocks"), Single: s.Count("single_stream_blocks"), Layer: dim("caption_projection.0.linear.weight", 1),
		Experts: dim("double_stream_blocks.0.block.ff_i.gate.weight", 0), Hidden: dim("double_stream_blocks.0.block.ff_i.experts.0.w1.weight", 0),
	}
	c.Heads = c.Dim / headWidth
	c.Text = dim(fmt.Sprintf("caption_projection.%d.linear.weight", c.Double+c.Single), 1)
	if c.Channels < 1 || c.Heads < 1 || c.Dim%headWidth != 0 || c.Text < 1 || c.Layer < 1 || c.Vector < 1 || c.Experts < active || c.Hidden < 1 {
		return c, fmt.Errorf("its shapes make no network: width %d, text %d and %d, pooled %d, %d channels, %d experts", c.Dim, c.Text, c.Layer, c.Vector, c.Channels, c.Experts)
	}
	return c, nil
}
