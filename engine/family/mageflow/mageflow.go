// Package mageflow is the family of Mage-Flow: the blocks of Qwen-Image on single cells of a latent, with a VAE of its own that
// decodes in one step of a diffusion model.
package mageflow

import (
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/flux2"
	"comfygo/engine/family/lm"
	"comfygo/engine/family/qwenimage"
	"comfygo/engine/sampling"
	"comfygo/engine/weights"
)

func init() { family.Register(kind{}) }

// kind registers the family.
type kind struct{}

// Name implements family.Family.
func (kind) Name() string { return "Mage-Flow" }

// Rank implements family.Family.
func (kind) Rank() int { return 820 }

// The widths of the text encoding and of the last layer, that distinguish the model from Qwen-Image.
const (
	textWidth = 2560
	lastWidth = 128
)

// Read implements family.Diffusion.
func (kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	s := weights.NewScope(src)
	text, last := s.Shape("txt_norm.weight"), s.Shape("proj_out.weight")
	if len(text) == 0 || text[0] != textWidth || len(last) == 0 || last[0] != lastWidth {
		return nil, nil
	}
	c, err := qwenimage.ReadConfig(s, 1)
	if err != nil {
		return nil, err
	}
	c.Origin, c.Rounded = true, true
	return &qwenimage.Model{Config: c, Head: dit.Head{
		Source: src, Format: flux2.Latent, Type: sampling.Flow, Settings: sampling.Settings{Multiplier: 1, Shift: 6}, Loader: loader, Encoders: []string{lm.KeyQwen3VLM},
	}}, nil
}
