package flux2

import (
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/flux"
	"comfygo/engine/family/lm"
	"comfygo/engine/sampling"
	"comfygo/engine/weights"
)

func init() { family.Register(kind{}) }

// kind registers the family.
type kind struct{}

// Name implements family.Family.
func (kind) Name() string { return "Flux.2" }

// Rank implements family.Family.
func (kind) Rank() int { return 870 }

// The least number of text tokens, and the step of the index of reference latents.
const (
	textTokens = 512
	refScale   = 10
)

// Read implements family.Diffusion.
func (kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	src = flux.Plain(src)
	s := weights.NewScope(src)
	if !flux.Looks(src) || !s.Has("double_stream_modulation_img.lin.weight") {
		return nil, nil
	}
	c, err := flux.Read(s, 1, 32, 32, 32, 32)
	if err != nil {
		return nil, err
	}
	c.Shared, c.Kind, c.MLP = true, dit.SiLUGate, c.MLP/2
	c.Theta, c.TextAxes = 2000, []int{3}
	c.Method, c.RefScale = dit.MethodIndex, refScale
	return &flux.Model{
		Config: c, TextLength: textTokens,
		Head: flux.Head(src, Latent, sampling.Flux, sampling.Settings{Shift: 2.02}, "flux2", lm.KeyQwen3M, lm.KeyQwen3L, lm.KeyMistral),
	}, nil
}
