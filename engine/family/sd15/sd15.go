package sd15

import (
	"encoding/json"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/family/clip"
	"comfygo/engine/family/unet"
	"comfygo/engine/sampling"
	"comfygo/engine/weights"
	"comfygo/engine/weights/layout"
)

// Scheme is the type of the family's text encoder in the CLIP loaders.
const Scheme = "stable_diffusion"

func init() {
	family.Register(kind{})
	family.Register(family.Single{
		Label: "Stable Diffusion 1.x", Order: 10, Loader: Scheme, Encoder: family.SchemeEncoder{Key: clip.KeyL}, Not: []string{"sd3", "hidream"},
	})
}

// kind registers the family.
type kind struct{}

func (kind) Name() string { return "Stable Diffusion 1.x" }

// Rank follows upstream's list of models: SD15_instructpix2pix and SD15 come third and fourth.
func (kind) Rank() int { return 40 }

// textPrefixes are where checkpoints keep the text encoder.
var textPrefixes = map[string][]string{clip.KeyL: {
	"cond_stage_model.transformer.", "conditioner.embedders.0.transformer.", "clip_l.transformer.", "text_encoder.",
}}

// config is the part of a file's "config" metadata that is read. Files of other sizes than the well-known ones (the built-in
// demo model) carry it; keys follow upstream's U-Net parameters.
type config struct {
	UNet *struct {
		NumHeads         int    `json:"num_heads"`
		NumHeadChannels  int    `json:"num_head_channels"`
		Parameterization string `json:"parameterization"`
	} `json:"unet"`
}

// Read implements family.Diffusion.
func (kind) Read(src, whole weights.Source) (family.Denoiser, error) {
	src = layout.UNet(src)
	if !unet.Looks(src) {
		return nil, nil
	}
	cfg, err := unet.Read(src)
	if err != nil {
		return nil, err
	}
	m := &unet.Model{
		Config: cfg, Source: src, Format: Latent, Type: sampling.EPS,
		TextScheme: Scheme, Prefixes: textPrefixes,
	}
	var own config
	if raw := whole.Metadata()["config"]; raw != "" {
		if err := json.Unmarshal([]byte(raw), &own); err != nil {
			own = config{} // of another program, which means something else by it
		}
	}
	switch {
	case own.UNet != nil:
		m.Heads, m.HeadChannels = max(own.UNet.NumHeads, 0), own.UNet.NumHeadChannels
		if m.Heads == 0 && m.HeadChannels <= 0 {
			return nil, fmt.Errorf("the config in the file's metadata gives neither num_heads nor num_head_channels")
		}
		if own.UNet.Parameterization == "v" {
			m.Type = sampling.VPrediction
		}
	case cfg.ContextDim == 768 && cfg.ModelChannels == 320 && cfg.AdmChannels == 0 && !cfg.Temporal && !cfg.Linear:
		m.Heads = 8
	default:
		return nil, nil
	}
	switch m.InChannels - m.OutChannels {
	case 5:
		m.Concat = unet.InpaintInput
	case 4:
		m.Concat = unet.EditInput
	}
	return m, nil
}
