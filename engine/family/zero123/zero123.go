// Package zero123 is the family of Stable Zero123: a U-Net of Stable Diffusion 1.x that shows an object from another side. It
// reads the latent of the object's image, and in place of a text the encoded image with the position of the camera.
package zero123

import (
	"errors"
	"fmt"

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

// Name implements family.Family.
func (kind) Name() string { return "Stable Zero123" }

// Rank implements family.Family: upstream's Stable_Zero123 comes second.
func (kind) Rank() int { return 20 }

// The projection of the encoded image and the camera, which lies beside the U-Net in checkpoints.
const (
	projection     = "cc_projection.weight"
	projectionBias = "cc_projection.bias"
)

// Read implements family.Diffusion. Upstream: supported_models.py Stable_Zero123.
func (kind) Read(src, whole weights.Source) (family.Denoiser, error) {
	w, ok := whole.Lookup(projection)
	if !ok {
		return nil, nil
	}
	src = layout.UNet(src)
	if !unet.Looks(src) {
		return nil, nil
	}
	cfg, err := unet.Read(src)
	if err != nil {
		return nil, err
	}
	if cfg.ContextDim != 768 || cfg.ModelChannels != 320 || cfg.AdmChannels != 0 || cfg.Linear || cfg.Temporal || cfg.InChannels != 8 {
		return nil, nil
	}
	bias, ok := whole.Lookup(projectionBias)
	if !ok || len(w.Shape) != 2 || w.Shape[0] != cfg.ContextDim || len(bias.Shape) != 1 || bias.Shape[0] != cfg.ContextDim {
		return nil, fmt.Errorf("%s is %v and %s is %v: wanted %d rows and as many values", projection, w.Shape, projectionBias, bias.Shape, cfg.ContextDim)
	}
	cfg.Heads = 8
	return &model{
		Model: &unet.Model{
			Config: cfg, Source: src, Format: sd15.Latent, Type: sampling.EPS, Concat: unet.EditInput, Vision: "cond_stage_model.model.visual.",
		},
		weight: w, bias: bias,
	}, nil
}

// model is a U-Net with the projection.
type model struct {
	*unet.Model
	weight, bias weights.Entry
}

// Inputs implements family.Denoiser: an encoding that is wider than the U-Net's is projected first (upstream: model_base.py
// Stable_Zero123.extra_conds).
func (m *model) Inputs(c *sampling.Cond, r sampling.Request) ([]sampling.Input, error) {
	if c.Tokens == nil || len(c.Tokens.Shape) != 3 {
		return nil, errors.New("reading a conditioning entry: it holds no encoded image: connect StableZero123_Conditioning")
	}
	if c.Tokens.Dim(2) != m.ContextDim {
		tokens, err := m.projected(c.Tokens)
		if err != nil {
			return nil, err
		}
		own := *c
		own.Tokens, c = tokens, &own
	}
	return m.Model.Inputs(c, r)
}

// projected applies the projection to tokens [B,T,width].
func (m *model) projected(x *tensor.Tensor) (*tensor.Tensor, error) {
	rows, in := m.weight.Shape[0], m.weight.Shape[1]
	if x.Dim(2) != in {
		return nil, fmt.Errorf("reading a conditioning entry: its width is %d, the model reads %d of an image with a camera position, or %d: connect StableZero123_Conditioning", x.Dim(2), in, m.ContextDim)
	}
	w, err := weights.Float32s(m.weight)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", projection, err)
	}
	bias, err := weights.Float32s(m.bias)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", projectionBias, err)
	}
	out := tensor.New(x.Dim(0), x.Dim(1), rows)
	for t := range x.Dim(0) * x.Dim(1) {
		from := x.Data[t*in : (t+1)*in]
		for o := range rows {
			sum := float64(bias[o])
			for i, v := range w[o*in : (o+1)*in] {
				sum += float64(v) * float64(from[i])
			}
			out.Data[t*rows+o] = float32(sum)
		}
	}
	return out, nil
}
