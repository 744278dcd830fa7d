// Package flux is the family of Flux.1 (dev, schnell, Fill, Kontext, Canny, Depth) and the network that Flux.2 and others
// share with it.
package flux

import (
	"comfygo/engine/family"
	"comfygo/engine/family/clip"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/latents"
	"comfygo/engine/family/t5"
	"comfygo/engine/sampling"
	"comfygo/engine/weights"
)

// Scheme is the type of the family's text encoders in the CLIP loaders.
const Scheme = "flux"

func init() {
	family.Register(kind{name: "Flux.1 Fill", rank: 280, guided: true, channels: 96})
	family.Register(kind{name: "Flux.1", rank: 290, guided: true})
	family.Register(kind{name: "Flux.1 schnell", rank: 310})
}

// kind is one of the family's models; upstream distinguishes them by the guidance and the input channels.
type kind struct {
	name     string
	rank     int
	guided   bool
	channels int
}

// Name implements family.Family.
func (k kind) Name() string { return k.name }

// Rank implements family.Family.
func (k kind) Rank() int { return k.rank }

// Read implements family.Diffusion.
func (k kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	src = Plain(src)
	if !Looks(src) {
		return nil, nil
	}
	s := weights.NewScope(src)
	if s.Has("double_stream_modulation_img.lin.weight") || s.HasAny("distilled_guidance_layer") {
		return nil, nil // Flux.2, Chroma
	}
	c, err := Read(s, 2, 16, 56, 56)
	if err != nil {
		return nil, err
	}
	if c.Guidance != k.guided || k.channels > 0 && c.In != k.channels || !k.guided && LongCat(c) {
		return nil, nil
	}
	c.Method, c.RefScale = dit.MethodOffset, 1
	if c.TextNorm && s.Has("double_blocks.0.img_mlp.gate_proj.weight") { // Ovis-Image
		c.TextAxes = []int{1, 2}
	}
	m := &Model{Config: c, Head: Head(src, latents.Flux, sampling.Flux, sampling.Settings{}, Scheme, clip.KeyL, t5.KeyXXL)}
	if !k.guided {
		m.Type, m.Settings = sampling.Flow, sampling.Settings{Multiplier: 1, Shift: 1}
	}
	return m, nil
}

// LongCat marks LongCat-Image, which upstream detects by its text encoder and the missing pooled encoding.
func LongCat(c Config) bool { return c.Context == 3584 && c.Vector == 0 }
