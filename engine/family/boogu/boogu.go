// Package boogu is the family of Boogu-Image: the network of OmniGen 2 with blocks before its stack in which text and image
// have weights of their own.
package boogu

import (
	"comfygo/engine/family"
	"comfygo/engine/family/lm"
	"comfygo/engine/family/omnigen2"
	"comfygo/engine/weights"
)

func init() { family.Register(kind{}) }

// kind is the family of diffusion models.
type kind struct{}

// Name implements family.Family.
func (kind) Name() string { return "Boogu" }

// Rank implements family.Family.
func (kind) Rank() int { return 810 }

// Read implements family.Diffusion.
func (kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	s := weights.NewScope(src)
	if !s.Has("double_stream_layers.0.img_instruct_attn.processor.img_to_q.weight") {
		return nil, nil
	}
	c, err := omnigen2.ReadConfig(s, "single_stream_layers")
	if err != nil {
		return nil, err
	}
	return &omnigen2.Model{Config: c, Head: omnigen2.Head(src, 3.16, loader, lm.KeyQwen3VLL)}, nil
}
