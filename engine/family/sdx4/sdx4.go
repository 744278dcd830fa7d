// Package sdx4 is the family of Stable Diffusion's x4 upscaler: a U-Net that reads the small image beside a latent of its size.
package sdx4

import (
	"fmt"
	"math"

	"comfygo/engine/family"
	"comfygo/engine/family/clip"
	"comfygo/engine/family/sd15"
	"comfygo/engine/family/unet"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/torchrand"
	"comfygo/engine/weights"
	"comfygo/engine/weights/layout"
	"comfygo/internal/imaging"
)

func init() { family.Register(kind{}) }

// kind registers the family.
type kind struct{}

func (kind) Name() string { return "Stable Diffusion x4 upscaler" }
func (kind) Rank() int    { return 150 }

// Latent is the latent format. Upstream: latent_formats.SD_X4.
var Latent = sampling.LatentFormat{
	Channels: 4, Scale: 0.08333, Downscale: 4,
	RGB: [][3]float32{{-0.2340, -0.3863, -0.3257}, {0.0994, 0.0885, -0.0908}, {-0.2833, -0.2349, -0.3741}, {0.2523, -0.0055, -0.1651}},
}

// The noise of the small image: levels of a linear schedule, of which no higher ones are used than most.
const (
	levels      = 1000
	most        = 350
	linearStart = 0.0001
	linearEnd   = 0.02
)

// imageChannels are the channels of the small image.
const imageChannels = 3

// Read implements family.Diffusion. Upstream: supported_models.py SD_X4Upscaler.
func (kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	src = layout.UNet(src)
	if !unet.Looks(src) {
		return nil, nil
	}
	cfg, err := unet.Read(src)
	if err != nil {
		return nil, err
	}
	if cfg.ContextDim != 1024 || cfg.ModelChannels != 256 || !cfg.Linear || cfg.Temporal || cfg.InChannels != Latent.Channels+imageChannels {
		return nil, nil
	}
	if cfg.Labels <= most {
		return nil, fmt.Errorf("label_emb.weight has %d rows, wanted more than %d: one for each level of noise", cfg.Labels, most)
	}
	cfg.Heads = 8
	return &unet.Model{
		Config: cfg, Source: src, Format: Latent, Type: sampling.VPrediction, Settings: sampling.Settings{LinearStart: linearStart, LinearEnd: linearEnd},
		TextScheme: sd15.Scheme, Prefixes: prefixes, Concat: image, Vector: labels{src, cfg.AdmChannels}.row,
	}, nil
}

// prefixes are where checkpoints keep the text encoder.
var prefixes = map[string][]string{clip.KeyH: {"cond_stage_model.model.", "conditioner.embedders.0.model.", "clip_h.transformer.", "text_encoder."}}

// share returns the noise of the small image, relative to the maximum.
func share(c *sampling.Cond) (share float64, level int, err error) {
	share, err = sampling.Value[float64](c, "noise_augmentation")
	if err == nil && !(share >= 0 && share <= 1) {
		err = fmt.Errorf("reading a conditioning entry: noise_augmentation is %g, wanted 0 to 1", share)
	}
	return share, int(math.RoundToEven(most * share)), err
}

// labels gives the embedding of the level of noise.
type labels struct {
	src   weights.Source
	width int
}

func (l labels) row(c *sampling.Cond, _ sampling.Request) (*tensor.Tensor, error) {
	_, level, err := share(c)
	if err != nil {
		return nil, err
	}
	e, ok := l.src.Lookup("label_emb.weight")
	if !ok {
		return nil, fmt.Errorf("label_emb.weight is missing")
	}
	if e, err = e.Rows(level, 1); err != nil {
		return nil, err
	}
	v, err := weights.Float32s(e)
	if err != nil {
		return nil, err
	}
	return tensor.From(v, 1, l.width)
}

// image returns the small image in the latent's size with its noise; zeros without one (upstream: model_base.py
// SD_X4Upscaler.extra_conds).
func image(c *sampling.Cond, r sampling.Request) (*tensor.Tensor, error) {
	x, err := sampling.Value[*tensor.Tensor](c, "concat_image")
	if err != nil {
		return nil, err
	}
	noise, level, err := share(c)
	if err != nil {
		return nil, err
	}
	rows, height, width := r.Shape[0], r.Shape[len(r.Shape)-2], r.Shape[len(r.Shape)-1]
	switch {
	case x == nil:
		x = tensor.New(rows, imageChannels, height, width)
	case len(x.Shape) != 4 || x.Dim(1) != imageChannels || x.Len() == 0:
		return nil, fmt.Errorf("reading a conditioning entry: its concat_image has shape %v, wanted an image of %d channels", x.Shape, imageChannels)
	default:
		if x, err = imaging.Upscale(x, width, height, "bilinear", "center"); err != nil {
			return nil, fmt.Errorf("reading a conditioning entry: %w", err)
		}
	}
	if noise > 0 {
		x = noisy(x, level, r.Seed)
	}
	out := tensor.New(rows, imageChannels, height, width)
	for i := range rows {
		copy(out.Index(i).Data, x.Index(sourceRow(i, x.Dim(0), rows)).Data)
	}
	return out, nil
}

// sourceRow is the row that a batch of have rows gives for row i of want: evenly spread where there are more, the last one
// repeated where there are fewer (upstream: utils.resize_to_batch_size).
func sourceRow(i, have, want int) int {
	switch {
	case have == want || want <= 1:
		return min(i, have-1)
	case have > want:
		return int(math.RoundToEven(float64(i) * float64(have-1) / float64(want-1)))
	}
	return min(int(math.Floor((float64(i)+0.5)*float64(have)/float64(want))), have-1)
}

// noisy adds noise of a level of the linear schedule to an image.
func noisy(x *tensor.Tensor, level int, seed uint64) *tensor.Tensor {
	const apart = 10 // from the seed of the run's noise
	noise := make([]float32, x.Len())
	torchrand.New(seed - apart).Randn(noise)
	keep := 1.0
	start, end := math.Sqrt(linearStart), math.Sqrt(linearEnd)
	for i := range level + 1 {
		b := start + (end-start)*float64(i)/(levels-1)
		keep *= 1 - b*b
	}
	a, b := float32(math.Sqrt(keep)), float32(math.Sqrt(1-keep))
	out := tensor.New(x.Shape...)
	for i, v := range x.Data {
		out.Data[i] = a*v + b*noise[i]
	}
	return out
}
