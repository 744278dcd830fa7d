package longcat

import (
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/flux"
	"comfygo/engine/family/latents"
	"comfygo/engine/family/lm"
	"comfygo/engine/sampling"
	"comfygo/engine/weights"
)

func init() { family.Register(kind{}) }

// kind registers the family.
type kind struct{}

// Name implements family.Family.
func (kind) Name() string { return "LongCat-Image" }

// Rank implements family.Family.
func (kind) Rank() int { return 300 }

// Read implements family.Diffusion.
func (kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	src = flux.Plain(src)
	s := weights.NewScope(src)
	if !flux.Looks(src) || s.Has("double_stream_modulation_img.lin.weight") || s.HasAny("distilled_guidance_layer") {
		return nil, nil
	}
	c, err := flux.Read(s, 2, 16, 56, 56)
	if err != nil || c.Guidance || !flux.LongCat(c) {
		return nil, err
	}
	c.Method, c.RefScale, c.TextAxes = dit.MethodOffset, 1, []int{1, 2}
	return &flux.Model{
		Config: c, Head: flux.Head(src, latents.Flux, sampling.Flux, sampling.Settings{}, "longcat_image", lm.KeyQwen25M),
		// Upstream: model_base.py LongCatImage._apply_model.
		Rotary: func(tokens int) dit.Rotary {
			r := dit.Unscaled
			r.ShiftT, r.ShiftY, r.ShiftX = 1, float64(tokens), float64(tokens)
			return r
		},
	}, nil
}
