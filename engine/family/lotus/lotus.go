// Package lotus is the family of Lotus (He et al. 2024, arXiv:2409.18124): U-Nets of Stable Diffusion 2 that predict the depth
// or the normals of an image in one step.
package lotus

import (
	"math"

	"comfygo/engine/family"
	"comfygo/engine/family/sd15"
	"comfygo/engine/family/unet"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/engine/weights/layout"
)

func init() { family.Register(kind{}) }

// kind registers the family.
type kind struct{}

func (kind) Name() string { return "Lotus" }
func (kind) Rank() int    { return 10 }

// Read implements family.Diffusion. Upstream: supported_models.py LotusD.
func (kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	src = layout.UNet(src)
	if !unet.Looks(src) {
		return nil, nil
	}
	cfg, err := unet.Read(src)
	if err != nil {
		return nil, err
	}
	const task = 4 // the vector that names the task
	if cfg.AdmChannels != task || cfg.InChannels != 4 || cfg.ModelChannels != 320 || !cfg.Linear || cfg.Temporal {
		return nil, nil
	}
	cfg.HeadChannels = 64
	return &unet.Model{
		Config: cfg, Source: src, Format: sd15.Latent, Type: sampling.ImgToImg, TextScheme: sd15.Scheme, Vector: vector,
	}, nil
}

// vector is the vector of the task of predicting from an image: the sines and cosines of (1, 0).
func vector(*sampling.Cond, sampling.Request) (*tensor.Tensor, error) {
	y := tensor.New(1, 4)
	copy(y.Data, []float32{float32(math.Sin(1)), 0, float32(math.Cos(1)), 1})
	return y, nil
}
