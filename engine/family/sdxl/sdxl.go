package sdxl

import (
	"fmt"
	"slices"

	"comfygo/engine/family"
	"comfygo/engine/family/clip"
	"comfygo/engine/family/unet"
	"comfygo/engine/sampling"
	"comfygo/engine/weights"
	"comfygo/engine/weights/layout"
)

func init() {
	for _, m := range models {
		family.Register(m)
	}
	family.Register(scheme{})
	family.Register(refinerScheme)
}

// model is one of the family's U-Nets, identified by the transformer depths of its input blocks.
type model struct {
	name   string
	rank   int
	depths []int
	// refiner is for the second stage, which reads CLIP-G alone and an aesthetic score.
	refiner bool
}

// models are in upstream's order; an SDXL model for instruction editing is identified by its input channels.
var models = []model{
	{name: "Stable Diffusion XL refiner", rank: 90, depths: []int{0, 0, 4, 4, 4, 4, 0, 0}, refiner: true},
	{name: "Stable Diffusion XL", rank: 100, depths: []int{0, 0, 2, 2, 10, 10}},
	{name: "SSD-1B", rank: 110, depths: []int{0, 0, 2, 2, 4, 4}},
	{name: "KOALA 700M", rank: 120, depths: []int{0, 2, 5}},
	{name: "KOALA 1B", rank: 130, depths: []int{0, 2, 6}},
	{name: "Segmind Vega", rank: 140, depths: []int{0, 0, 1, 1, 2, 2}},
}

// Name implements family.Family.
func (m model) Name() string { return m.name }

// Rank implements family.Family.
func (m model) Rank() int { return m.rank }

// prefixes are where checkpoints keep the text encoders, refinerPrefixes where those of the refiner do.
var (
	prefixes = map[string][]string{
		clip.KeyL: {"conditioner.embedders.0.transformer.", "clip_l.transformer.", "text_encoder."},
		clip.KeyG: {"conditioner.embedders.1.model.", "clip_g.transformer.", "text_encoder_2."},
	}
	refinerPrefixes = map[string][]string{clip.KeyG: {"conditioner.embedders.0.model.", "clip_g.transformer."}}
)

// Read implements family.Diffusion.
func (m model) Read(src, whole weights.Source) (family.Denoiser, error) {
	src = layout.UNet(src)
	if !unet.Looks(src) {
		return nil, nil
	}
	cfg, err := unet.Read(src)
	if err != nil {
		return nil, err
	}
	channels, text, adm := 320, 2048, 2816
	if m.refiner {
		channels, text, adm = 384, 1280, 2560
	}
	if cfg.ModelChannels != channels || cfg.ContextDim != text || cfg.AdmChannels != adm || !cfg.Linear || cfg.Temporal || !slices.Equal(cfg.Depths, m.depths) {
		return nil, nil
	}
	cfg.HeadChannels = 64
	net := &unet.Model{Config: cfg, Source: src, Format: Latent, Vector: vector, TextScheme: Scheme, Prefixes: prefixes, Spec: "stable-diffusion-xl-v1-base"}
	if m.refiner {
		net.Vector, net.TextScheme, net.Prefixes, net.Spec = refinerVector, RefinerScheme, refinerPrefixes, "stable-diffusion-xl-v1-refiner"
	}
	if err := setSampling(net, whole); err != nil {
		return nil, err
	}
	switch cfg.InChannels - cfg.OutChannels {
	case 0:
	case 5:
		net.Concat = unet.InpaintInput
	case 4:
		net.Concat, net.Spec = editInput(net), "stable-diffusion-xl-v1-edit"
	default:
		return nil, fmt.Errorf("it reads %d channels and predicts %d: no known variant of %s does", cfg.InChannels, cfg.OutChannels, m.name)
	}
	return net, nil
}

// setSampling reads the prediction type off marker keys beside the model (upstream: supported_models.py SDXL.model_type).
func setSampling(net *unet.Model, whole weights.Source) error {
	has := func(name string) bool {
		_, ok := whole.Lookup(name)
		return ok
	}
	net.Type = sampling.EPS
	switch {
	case has("edm_mean") && has("edm_std"):
		net.Type, net.Format = sampling.EDM, Playground25Latent
		net.Settings = sampling.Settings{SigmaData: 0.5, SigmaMax: 80, SigmaMin: 0.002}
	case has("edm_vpred.sigma_max"):
		net.Type = sampling.VPredictionEDM
		for name, to := range map[string]*float64{"edm_vpred.sigma_max": &net.Settings.SigmaMax, "edm_vpred.sigma_min": &net.Settings.SigmaMin} {
			e, ok := whole.Lookup(name)
			if !ok {
				continue
			}
			v, err := weights.Float32s(e)
			if err != nil {
				return fmt.Errorf("reading %s: %w", name, err)
			}
			if len(v) != 1 {
				return fmt.Errorf("reading %s: it holds %d values, wanted one", name, len(v))
			}
			*to = float64(v[0])
		}
	case has("v_pred"):
		net.Type = sampling.VPrediction
		net.Settings.ZSNR = has("ztsnr")
	}
	return nil
}
