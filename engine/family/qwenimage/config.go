package qwenimage

import (
	"fmt"
	"slices"

	"comfygo/engine/weights"
)

// Config is the part of a network's config that follows from the shapes of a file.
type Config struct {
	// Channels are the channels of a latent, Patch is the side of a token.
	Channels, Patch int
	// Dim is the width of a token, Text that of the text encoding, Heads the number of attention heads.
	Dim, Text, Heads int
	// Layers is the number of blocks.
	Layers int
	// Method is the default placement of reference latents, an index in methods.
	Method int
	// Layered reports that the model has embeddings for the kind of its latents.
	Layered bool
	// Origin reports that text tokens are not rotated, and that of two middle rows or columns the first is that before zero.
	Origin bool
	// Rounded reports that timesteps and the frequencies of their embedding are rounded to bfloat16.
	Rounded bool
}

// The ways in which reference latents are placed.
const (
	// methodOffset puts all of them one step after the image, side by side or below each other.
	methodOffset = iota
	// methodIndex gives each of them an index of its own.
	methodIndex
	// methodNegative counts the indexes down.
	methodNegative
	// methodStill is methodIndex with the timestep zero for their tokens.
	methodStill
)

// methods are their names; upstream takes all others for the first.
var methods = []string{"offset", "index", "negative_index", "index_timestep_zero"}

// methodOf returns the place of a method, def for "".
func methodOf(name string, def int) int {
	if name == "" {
		return def
	}
	return max(slices.Index(methods, name), methodOffset)
}

// head is the width of a head.
func (c Config) head() int { return c.Dim / c.Heads }

// axes are the widths of a head that the axes of a position turn: 16, 56 and 56 of 128.
func (c Config) axes() []int {
	first := c.head() / 8
	rest := (c.head() - first) / 2
	return []int{first, rest, rest}
}

// ReadConfig reads the config of a network with patches of a side from the shapes.
func ReadConfig(s *weights.Scope, patch int) (Config, error) {
	dim := func(name string, axis int) int {
		if sh := s.Shape(name); axis < len(sh) {
			return sh[axis]
		}
		return 0
	}
	c := Config{
		Patch: patch, Channels: dim("img_in.weight", 1) / (patch * patch), Dim: dim("img_in.weight", 0), Text: dim("txt_norm.weight", 0), Layers: s.Count("transformer_blocks"),
		Method: methodIndex,
	}
	if d := dim("transformer_blocks.0.attn.norm_q.weight", 0); d > 0 {
		c.Heads = c.Dim / d
	}
	if s.Has("__index_timestep_zero__") {
		c.Method = methodStill
	}
	if s.Has("time_text_embed.addition_t_embedding.weight") {
		c.Layered, c.Method = true, methodNegative
	}
	if c.Channels < 1 || c.Heads < 1 || c.Text < 1 || c.axes()[0]%2 != 0 || c.axes()[1]%2 != 0 || c.axes()[0]+2*c.axes()[1] != c.head() {
		return c, fmt.Errorf("its shapes make no network: width %d, text %d, %d channels, %d heads", c.Dim, c.Text, c.Channels, c.Heads)
	}
	return c, nil
}
