package wan

import (
	"context"
	"errors"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(vaeKind{}) }

// vaeKind is the family of VAEs.
type vaeKind struct{}

// Name implements family.Family.
func (vaeKind) Name() string { return "Wan 2.1 VAE" }

// Rank implements family.Family.
func (vaeKind) Rank() int { return 60 }

// Read implements family.VAE. Upstream: sd.py VAE.
func (vaeKind) Read(src weights.Source) (family.Autoencoder, error) {
	s := weights.NewScope(src)
	if !s.Has("decoder.middle.0.residual.0.gamma") || s.HasAny("decoder.upsamples.0.upsamples") {
		return nil, nil
	}
	last, z := s.Shape("decoder.head.2.weight"), s.Shape("conv2.weight")
	if len(last) != 5 || len(z) != 5 {
		return nil, errors.New("its shapes make no VAE: the last convolution or conv2 is missing")
	}
	first := s.Shape("encoder.conv1.weight")
	encodes := first != nil && s.Has("conv1.weight")
	if last[0] != rgb && last[0] != rgba || encodes && (len(first) != 5 || first[1] != last[0]) {
		return nil, fmt.Errorf("its first and last convolutions, %v and %v, are not of images of 3 or 4 channels", first, last)
	}
	return &vae{src: src, channels: z[0], width: last[1], pixels: last[0], encodes: encodes}, nil
}

// rgb and rgba are the numbers of channels of an image, the latter of Qwen-Image-Layered's VAE. downscale is the number of
// pixels per latent cell, pace that of frames per latent behind the first one.
const (
	rgb       = 3
	rgba      = 4
	downscale = 8
	pace      = 4
)

// vae is a VAE that was read from a file. Its convolutions over time are causal, so that the first frame is an image by
// itself, which Qwen-Image and others use.
type vae struct {
	src                     weights.Source
	channels, width, pixels int
	encodes                 bool
}

var _ family.Autoencoder = (*vae)(nil)

// Info implements family.Autoencoder.
func (v *vae) Info() family.VAEInfo {
	return family.VAEInfo{
		Channels: v.channels, Downscale: downscale, Pixels: v.pixels, CanEncode: v.encodes, CanDecode: true, Video: true,
		Frames: func(n int) int { return max(pace*n-(pace-1), 0) },
	}
}

// Weights implements family.Autoencoder.
func (v *vae) Weights() []weights.Source { return []weights.Source{v.src} }

// Decode implements family.Autoencoder.
func (v *vae) Decode(ctx context.Context, run family.Runner, z *tensor.Tensor) (*tensor.Tensor, error) {
	if len(z.Shape) != 5 || z.Dim(0) != 1 || z.Dim(1) != v.channels || z.Dim(2) < 1 {
		return nil, fmt.Errorf("decoding a latent of shape %v: the VAE reads %d channels and a time axis", z.Shape, v.channels)
	}
	n := z.Dim(2)
	out, err := run.Run(ctx, family.Graph{Part: "vae decoder", Variant: family.Digest(n), Build: func(s family.Spec) (*onnx.Graph, error) {
		return decoderGraph(v.src, v.channels, n, s)
	}}, []family.Value{family.Floats("z", z)}, "out")
	return out["out"], err
}

// Encode implements family.Autoencoder: frames beyond the last whole group of four behind the first are left out, as
// upstream does.
func (v *vae) Encode(ctx context.Context, run family.Runner, x *tensor.Tensor) (*tensor.Tensor, error) {
	if len(x.Shape) != 4 || x.Dim(1) != v.pixels || x.Dim(0) < 1 {
		return nil, fmt.Errorf("encoding images of shape %v: the VAE reads %d channels", x.Shape, v.pixels)
	}
	n := 1 + (x.Dim(0)-1)/pace*pace
	out, err := run.Run(ctx, family.Graph{Part: "vae encoder", Variant: family.Digest(n), Build: func(s family.Spec) (*onnx.Graph, error) {
		return encoderGraph(v.src, v.pixels, v.channels, n, s)
	}}, []family.Value{family.Floats("pixels", x.Slice(0, n))}, "moments")
	return out["moments"], err
}

// DecodeMemory implements family.Autoencoder: some sets of features of the last level, for all frames.
func (v *vae) DecodeMemory(latent []int) int64 {
	frames := v.Info().Frames(latent[2])
	return family.Product(frames, latent[3], downscale, latent[4], downscale, v.width, 4, 6)
}

// EncodeMemory implements family.Autoencoder; see DecodeMemory.
func (v *vae) EncodeMemory(pixels []int) int64 {
	return family.Product(pixels[0], pixels[2], pixels[3], v.width, 4, 6)
}
