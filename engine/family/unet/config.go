package unet

import (
	"fmt"

	"comfygo/engine/weights"
)

// Config describes a U-Net of Stable Diffusion's kind. The block structure (levels, residual blocks, transformer depths,
// down- and upsampling) is read off the keys while the graph is written.
type Config struct {
	// InChannels is the number of input channels: those of the latent and of the additional inputs.
	InChannels int
	// OutChannels are the channels of the prediction; 0 for the half of a ControlNet.
	OutChannels int
	// ModelChannels is the width of the first level.
	ModelChannels int
	// ContextDim is the width of the text encoding.
	ContextDim int
	// Heads is the number of attention heads; 0 when HeadChannels gives the width of one instead.
	Heads, HeadChannels int
	// AdmChannels is the width of the vector input y; 0 for none.
	AdmChannels int
	// Labels, when set, is the number of rows of an embedding table: y is one row, which is added to the time embedding
	// unchanged.
	Labels int
	// Levels is the number of resolutions: sizes that 2^(Levels-1) divides need no rounding anywhere.
	Levels int
	// Depths is the number of transformer blocks after each residual block of the input half.
	Depths []int
	// Linear reports that the projections around transformer blocks are stored as linear layers.
	Linear bool
	// Temporal reports that the network has layers along a time axis.
	Temporal bool
}

// Looks reports whether a source holds a U-Net of this kind; an error of Read is then one of a damaged file.
func Looks(src weights.Source) bool {
	_, first := src.Lookup("input_blocks.0.0.weight")
	_, last := src.Lookup("out.2.weight")
	return first && last
}

// Read reads the config from the weights of a whole U-Net; the family states the heads.
func Read(src weights.Source) (Config, error) {
	s := weights.NewScope(src)
	last := s.Shape("out.2.weight")
	c, err := ReadHalf(s)
	if err != nil {
		return c, err
	}
	if len(last) != 4 {
		return c, fmt.Errorf("reading the U-Net's shape: out.2.weight is %v, wanted four dimensions", last)
	}
	c.OutChannels = last[0]
	return c, nil
}

// ReadHalf reads the config from the input half of a U-Net, which is all that a ControlNet has.
func ReadHalf(s *weights.Scope) (Config, error) {
	first := s.Shape("input_blocks.0.0.weight")
	if len(first) != 4 {
		return Config{}, fmt.Errorf("reading the U-Net's shape: input_blocks.0.0.weight is %v, wanted four dimensions", first)
	}
	c := Config{InChannels: first[1], ModelChannels: first[0], Levels: 1, Temporal: s.HasAny("input_blocks.1.1.time_stack")}
	for i := range s.Count("input_blocks") {
		block := s.At("input_blocks").Index(i)
		if block.Has("0.op.weight") {
			c.Levels++
		}
		if block.Has("0.in_layers.0.weight") {
			c.Depths = append(c.Depths, block.Count("1.transformer_blocks"))
		}
		c.readAttention(block.At("1"))
	}
	c.readAttention(s.At("middle_block", "1"))
	if k := s.Shape("label_emb.0.0.weight"); len(k) == 2 {
		c.AdmChannels = k[1]
	}
	if k := s.Shape("label_emb.weight"); len(k) == 2 && k[1] == 4*c.ModelChannels {
		c.Labels, c.AdmChannels = k[0], k[1]
	}
	return c, nil
}

func (c *Config) readAttention(s *weights.Scope) {
	if k := s.Shape("transformer_blocks.0.attn2.to_k.weight"); len(k) == 2 {
		c.ContextDim = k[1]
		c.Linear = len(s.Shape("proj_in.weight")) == 2
	}
}
