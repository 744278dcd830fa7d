package sd2

import (
	"errors"
	"fmt"
	"math"

	"comfygo/engine/family"
	"comfygo/engine/family/clip"
	"comfygo/engine/family/sd15"
	"comfygo/engine/family/unet"
	"comfygo/engine/sampling"
	"comfygo/engine/weights"
	"comfygo/engine/weights/layout"
)

func init() { family.Register(kind{}) }

// kind registers the family of U-Nets.
type kind struct{}

// Name implements family.Family.
func (kind) Name() string { return "Stable Diffusion 2.x" }

// Rank implements family.Family: upstream's SD20 comes fifth.
func (kind) Rank() int { return 50 }

// prefixes are where checkpoints keep the text encoder.
var prefixes = map[string][]string{clip.KeyH: {"cond_stage_model.model.", "conditioner.embedders.0.model.", "clip_h.transformer.", "text_encoder."}}

// Read implements family.Diffusion. Upstream: supported_models.py SD20.
func (kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	src = layout.UNet(src)
	if !unet.Looks(src) {
		return nil, nil
	}
	cfg, err := unet.Read(src)
	if err != nil {
		return nil, err
	}
	if cfg.ContextDim != 1024 || cfg.ModelChannels != 320 || !cfg.Linear || cfg.Temporal {
		return nil, nil
	}
	cfg.HeadChannels = 64
	m := &unet.Model{Config: cfg, Source: src, Format: sd15.Latent, Type: sampling.EPS, TextScheme: sd15.Scheme, Prefixes: prefixes}
	switch cfg.AdmChannels {
	case 0:
	case unclipL, unclipH:
		m.Vector, m.Vision = imageVector(cfg.AdmChannels), "embedder.model.visual."
	default:
		return nil, nil
	}
	switch extra := cfg.InChannels - cfg.OutChannels; {
	case extra == 0 && predictsV(src):
		m.Type = sampling.VPrediction
	case extra == 0:
	case extra == 5:
		m.Concat = unet.InpaintInput
	case extra == 1: // upstream takes it for an inpainting model, and its first layer fails
		return nil, errors.New("it reads 5 channels, so it is the depth model, which is not supported here or in ComfyUI: use a depth ControlNet with a model of text and image")
	default:
		return nil, fmt.Errorf("it reads %d channels and predicts %d: no known variant of Stable Diffusion 2 does", cfg.InChannels, cfg.OutChannels)
	}
	return m, nil
}

// predictsV distinguishes models that predict v from those that predict noise by the deviation of one bias, which is larger
// in the former (upstream: SD20.model_type). Neither kind marks its files.
func predictsV(src weights.Source) bool {
	const least = 0.09
	e, ok := src.Lookup("output_blocks.11.1.transformer_blocks.0.norm1.bias")
	if !ok || e.Data == nil {
		return false
	}
	v, err := weights.Float32s(e)
	if err != nil || len(v) == 0 {
		return false
	}
	var sum, squares float64
	for _, x := range v {
		sum += float64(x)
		squares += float64(x) * float64(x)
	}
	n := float64(len(v))
	return math.Sqrt(max(squares/n-sum/n*(sum/n), 0)) > least
}
