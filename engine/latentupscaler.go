package engine

import (
	"context"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
)

// LatentUpscaler is the value of LATENT_UPSCALE_MODEL links: a network that enlarges video latents.
type LatentUpscaler struct {
	rt   *Runtime
	file *file
	net  family.LatentUpscaleNetwork
}

// LoadLatentUpscaler opens the upscale model of latents in the file at path.
func (rt *Runtime) LoadLatentUpscaler(path string) (*LatentUpscaler, error) {
	f, err := rt.files.Get(path)
	if err != nil {
		return nil, err
	}
	net, err := f.Parts.LatentUpscaler()
	if err != nil {
		return nil, fmt.Errorf("loading the latent upscale model: %w", err)
	}
	return &LatentUpscaler{rt: rt, file: f, net: net}, nil
}

// Upscale enlarges video latents [B,C,T,h,w].
func (u *LatentUpscaler) Upscale(ctx context.Context, z *tensor.Tensor) (*tensor.Tensor, error) {
	if len(z.Shape) != 5 || z.Dim(1) != u.net.Channels() || z.Len() == 0 {
		return nil, fmt.Errorf("enlarging a latent of shape %v: the upscale model reads video latents of %d channels", z.Shape, u.net.Channels())
	}
	run := u.rt.runner(family.RoleLatentUpscale, false, u.file)
	var out *tensor.Tensor
	for b := range z.Dim(0) {
		y, err := u.net.Upscale(ctx, run, z.Slice(b, b+1))
		if err != nil {
			return nil, fmt.Errorf("enlarging the latent: %w", err)
		}
		if out == nil {
			out = tensor.New(append([]int{z.Dim(0)}, y.Shape[1:]...)...)
		}
		copy(out.Index(b).Data, y.Data)
	}
	return out, nil
}

// UpscaleWith enlarges video latents of the VAE by an upscale model that reads them before the VAE normalizes their channels.
func (v *VAE) UpscaleWith(ctx context.Context, u *LatentUpscaler, z *tensor.Tensor) (*tensor.Tensor, error) {
	n, ok := v.net.(family.Normalized)
	if !ok {
		return nil, fmt.Errorf("enlarging the latent: the VAE has no statistics of its channels: connect the VAE of the model that the latent is for")
	}
	mean, deviation := n.Statistics()
	if len(z.Shape) != 5 || z.Dim(1) != len(mean) {
		return nil, fmt.Errorf("enlarging a latent of shape %v: the VAE has video latents of %d channels", z.Shape, len(mean))
	}
	z = z.Clone()
	channels(z, func(c int, row []float32) {
		for i := range row {
			row[i] = row[i]*deviation[c] + mean[c]
		}
	})
	y, err := u.Upscale(ctx, z)
	if err != nil {
		return nil, err
	}
	channels(y, func(c int, row []float32) {
		for i := range row {
			row[i] = (row[i] - mean[c]) / deviation[c]
		}
	})
	return y, nil
}

// channels calls f with the values of each channel of latents [B,C,…].
func channels(z *tensor.Tensor, f func(c int, row []float32)) {
	size := tensor.Count(z.Shape[2:])
	for i := range z.Dim(0) * z.Dim(1) {
		f(i%z.Dim(1), z.Data[i*size:(i+1)*size])
	}
}
