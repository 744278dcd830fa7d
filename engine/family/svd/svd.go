// Package svd is the family of Stable Video Diffusion: U-Nets with layers along the time axis that generate a video from an
// image, those of Stable Video 3D, which turn the camera around an object, and the VAE whose decoder reads neighbouring
// frames.
package svd

import (
	"fmt"
	"math"
	"slices"

	"comfygo/engine/family"
	"comfygo/engine/family/sd15"
	"comfygo/engine/family/unet"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/engine/weights/layout"
)

func init() {
	for _, m := range models {
		family.Register(m)
	}
}

// model is one of the family's U-Nets, identified by the width of its vector.
type model struct {
	name   string
	rank   int
	adm    int
	vector func(c *sampling.Cond, r sampling.Request) (*tensor.Tensor, error)
}

// Upstream lists Stable Video Diffusion last of all.
var models = []model{
	{name: "Stable Video 3D u", rank: 180, adm: embedded, vector: orbitVector},
	{name: "Stable Video 3D p", rank: 190, adm: embedded + 2*angled, vector: cameraVector},
	{name: "Stable Video Diffusion", rank: 990, adm: 3 * embedded, vector: motionVector},
}

// embedded is the width of the embedding of a number in the vector, angled that of an angle.
const (
	embedded = 256
	angled   = 512
)

// Name implements family.Family.
func (m model) Name() string { return m.name }

// Rank implements family.Family.
func (m model) Rank() int { return m.rank }

// Read implements family.Diffusion. Upstream: supported_models.py SVD_img2vid, SV3D_u and SV3D_p.
func (m model) Read(src, _ weights.Source) (family.Denoiser, error) {
	src = layout.UNet(src)
	if !unet.Looks(src) {
		return nil, nil
	}
	cfg, err := unet.Read(src)
	if err != nil {
		return nil, err
	}
	if !cfg.Temporal || cfg.ContextDim != 1024 || cfg.ModelChannels != 320 || !cfg.Linear || cfg.AdmChannels != m.adm ||
		!slices.Equal(cfg.Depths, []int{1, 1, 1, 1, 1, 1, 0, 0}) {
		return nil, nil
	}
	if cfg.InChannels != 8 || cfg.OutChannels != 4 {
		return nil, fmt.Errorf("it reads %d channels and predicts %d: %s reads 8 and predicts 4", cfg.InChannels, cfg.OutChannels, m.name)
	}
	cfg.HeadChannels = 64
	return &unet.Model{
		Config: cfg, Source: src, Format: sd15.Latent, Type: sampling.VPredictionEDM, Settings: sampling.Settings{SigmaMax: 700, SigmaMin: 0.002},
		Concat: unet.EditInput, Vector: m.vector, Vision: "conditioner.embedders.0.open_clip.model.visual.",
	}, nil
}

// motionVector embeds the frame rate, the amount of motion and the noise in the image (upstream: model_base.py
// SVD_img2vid.encode_adm).
func motionVector(c *sampling.Cond, _ sampling.Request) (*tensor.Tensor, error) {
	fps, err := number(c, sampling.KeyFPS, 6)
	if err != nil {
		return nil, err
	}
	motion, err := number(c, sampling.KeyMotionBucket, 127)
	if err != nil {
		return nil, err
	}
	noise, err := number(c, sampling.KeyAugmentation, 0)
	if err != nil {
		return nil, err
	}
	var y []float32
	for _, v := range []float64{fps - 1, motion, noise} {
		y = unet.TimestepEmbedding(y, v, embedded)
	}
	return tensor.From(y, 1, len(y))
}

// orbitVector embeds the noise in the image: the camera always moves along the same orbit. The angles of its frames have no
// effect, with a warning only for an elevation other than zero (upstream: SV3D_u.encode_adm).
func orbitVector(c *sampling.Cond, r sampling.Request) (*tensor.Tensor, error) {
	noise, err := number(c, sampling.KeyAugmentation, 0)
	if err != nil {
		return nil, err
	}
	if _, err := angles(c, sampling.KeyAzimuth, r.Shape[0]); err != nil {
		return nil, err
	}
	if v, ok := c.Values[sampling.KeyElevation].([]float64); ok && !slices.ContainsFunc(v, func(e float64) bool { return e != 0 }) {
		if _, err := angles(c, sampling.KeyElevation, r.Shape[0]); err != nil {
			return nil, err
		}
	}
	return tensor.From(unet.TimestepEmbedding(nil, noise, embedded), 1, embedded)
}

// cameraVector embeds the noise in the image and where the camera is in each frame, in degrees (upstream:
// SV3D_p.encode_adm).
func cameraVector(c *sampling.Cond, r sampling.Request) (*tensor.Tensor, error) {
	noise, err := number(c, sampling.KeyAugmentation, 0)
	if err != nil {
		return nil, err
	}
	elevation, err := angles(c, sampling.KeyElevation, r.Shape[0])
	if err != nil {
		return nil, err
	}
	azimuth, err := angles(c, sampling.KeyAzimuth, r.Shape[0])
	if err != nil {
		return nil, err
	}
	var y []float32
	for i := range r.Shape[0] {
		y = unet.TimestepEmbedding(y, noise, embedded)
		y = unet.TimestepEmbedding(y, radians(90-elevation[i]), angled)
		y = unet.TimestepEmbedding(y, radians(azimuth[i]), angled)
	}
	return tensor.From(y, r.Shape[0], embedded+2*angled)
}

// radians turns degrees, as the remainder of a whole turn, into radians in float32.
func radians(degrees float32) float64 {
	return float64(float32(math.Mod(float64(degrees), 360)) * float32(math.Pi/180))
}

// number returns a number of an entry.
func number(c *sampling.Cond, key string, otherwise float64) (float64, error) {
	switch c.Values[key].(type) {
	case nil:
		return otherwise, nil
	case int:
		n, err := sampling.Value[int](c, key)
		return float64(n), err
	}
	return sampling.Value[float64](c, key)
}

// angles returns an angle for each of n frames, of a list of any length or one number, zero for an empty list.
func angles(c *sampling.Cond, key string, n int) ([]float32, error) {
	list := tensor.New(1, 1)
	if _, many := c.Values[key].([]float64); many {
		v, err := sampling.Value[[]float64](c, key)
		if err != nil {
			return nil, err
		}
		if len(v) > 0 {
			list = tensor.New(len(v), 1)
			for i, d := range v {
				list.Data[i] = float32(d)
			}
		}
	} else {
		d, err := number(c, key, 0)
		if err != nil {
			return nil, err
		}
		list.Data[0] = float32(d)
	}
	return sampling.PickRows(list, n).Data, nil
}
