package wan

import (
	"context"
	"errors"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/family/chunked"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() {
	family.Register(vaeKind{name: "Wan 2.1 VAE", rank: 60})
	family.Register(vaeKind{name: "Wan 2.2 VAE", rank: 61, levels: true})
}

// vaeKind is a family of VAEs.
type vaeKind struct {
	name string
	rank int
	// levels reports that the file groups its layers into levels.
	levels bool
}

// Name implements family.Family.
func (k vaeKind) Name() string { return k.name }

// Rank implements family.Family.
func (k vaeKind) Rank() int { return k.rank }

// rgb and rgba are the numbers of channels of an image, the latter of Qwen-Image-Layered's VAE. packed is the side of the squares of pixels
// that Wan 2.2's VAE takes for one, downscale the number of pixels per latent cell beside it, pace that of frames per latent after the first one.
const (
	rgb       = 3
	rgba      = 4
	packed    = 2
	downscale = 8
	pace      = 4
)

// Read implements family.VAE. Upstream: sd.py VAE.
func (k vaeKind) Read(src weights.Source) (family.Autoencoder, error) {
	s := weights.NewScope(src)
	if !s.Has("decoder.middle.0.residual.0.gamma") || s.HasAny("decoder.upsamples.0.upsamples") != k.levels {
		return nil, nil
	}
	end, z := s.Shape("decoder.head.2.weight"), s.Shape("conv2.weight")
	if len(end) != 5 || len(z) != 5 {
		return nil, errors.New("its shapes make no VAE: the last convolution or conv2 is missing")
	}
	first := s.Shape("encoder.conv1.weight")
	v := &vae{src: src, channels: z[0], pixels: end[0], side: downscale, encodes: first != nil && s.Has("conv1.weight")}
	if v.encodes && (len(first) != 5 || first[1] != end[0]) {
		return nil, fmt.Errorf("its first and last convolutions, %v and %v, are not of images of 3 or 4 channels", first, end)
	}
	switch {
	case k.levels && v.pixels == rgb*packed*packed:
		v.pixels, v.side = rgb, downscale*packed
	case k.levels || v.pixels != rgb && v.pixels != rgba:
		return nil, fmt.Errorf("its first and last convolutions, %v and %v, are not of images of 3 or 4 channels", first, end)
	}
	all := chunked.Taps{Source: src}
	v.down = &chunked.Network{Part: "vae encoder", Source: all, Layers: encoder(weights.NewScope(all), v.pixels, v.channels)}
	v.up = &chunked.Network{Part: "vae decoder", Source: all, Layers: decoder(weights.NewScope(all), v.channels), Streamed: true}
	return v, nil
}

// vae is a VAE that was read from a file. Its convolutions over time are causal, so that the first frame is an image by
// itself, which Qwen-Image and others use.
type vae struct {
	src                    weights.Source
	channels, pixels, side int
	encodes                bool
	up, down               *chunked.Network
}

var _ family.Streamed = (*vae)(nil)

// Info implements family.Autoencoder.
func (v *vae) Info() family.VAEInfo {
	return family.VAEInfo{
		Channels: v.channels, Downscale: v.side, Pixels: v.pixels, CanEncode: v.encodes, CanDecode: true, Video: true, Pace: pace,
		Frames: func(n int) int { return max(pace*n-(pace-1), 0) },
	}
}

// Weights implements family.Autoencoder.
func (v *vae) Weights() []weights.Source { return []weights.Source{v.src} }

// DecodeStream implements family.Streamed: a latent frame at a time.
func (v *vae) DecodeStream(ctx context.Context, run family.Runner, z *tensor.Tensor, emit func(frames *tensor.Tensor) error) error {
	if len(z.Shape) != 5 || z.Dim(0) != 1 || z.Dim(1) != v.channels || z.Dim(2) < 1 {
		return fmt.Errorf("decoding a latent of shape %v: the VAE reads %d channels and a time axis", z.Shape, v.channels)
	}
	if err := run.Check("decoding the video", v.DecodeMemory(z.Shape)); err != nil {
		return err
	}
	return v.up.Run(ctx, run, z, 1, 1, nil, func(y *tensor.Tensor) error { return emit(chunked.Images(y)) })
}

// Decode implements family.Autoencoder.
func (v *vae) Decode(ctx context.Context, run family.Runner, z *tensor.Tensor) (*tensor.Tensor, error) {
	return family.Collect(ctx, run, v, z)
}

// Encode implements family.Autoencoder: frames beyond the last whole group of four after the first are left out, as upstream
// does.
func (v *vae) Encode(ctx context.Context, run family.Runner, x *tensor.Tensor) (*tensor.Tensor, error) {
	if len(x.Shape) != 4 || x.Dim(1) != v.pixels || x.Dim(0) < 1 {
		return nil, fmt.Errorf("encoding images of shape %v: the VAE reads %d channels", x.Shape, v.pixels)
	}
	if err := run.Check("encoding the video", v.EncodeMemory(x.Shape)); err != nil {
		return nil, err
	}
	var parts []*tensor.Tensor
	if err := v.down.Run(ctx, run, chunked.Video(x.Slice(0, 1+(x.Dim(0)-1)/pace*pace)), 1, pace, nil, func(y *tensor.Tensor) error {
		parts = append(parts, y)
		return nil
	}); err != nil {
		return nil, err
	}
	return chunked.JoinFrames(parts...), nil
}

// DecodeMemory implements family.Autoencoder.
func (v *vae) DecodeMemory(latent []int) int64 { return v.up.Memory(latent, 1, 1) }

// EncodeMemory implements family.Autoencoder.
func (v *vae) EncodeMemory(pixels []int) int64 {
	return v.down.Memory([]int{1, v.pixels, pixels[0], pixels[2], pixels[3]}, 1, pace)
}
