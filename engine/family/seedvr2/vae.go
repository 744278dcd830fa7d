package seedvr2

import (
	"context"
	"errors"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/family/chunked"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(vaeKind{}) }

// vaeKind is the family of VAEs.
type vaeKind struct{}

// Name implements family.Family.
func (vaeKind) Name() string { return "SeedVR2 VAE" }

// Rank implements family.Family: its layers are named like those of diffusers' VAEs of images, which are asked later.
func (vaeKind) Rank() int { return 1 }

const (
	rgb = 3
	// downscale is the number of pixels per latent cell, pace that of frames per latent frame after the first one.
	downscale = 8
	pace      = 4
	// scale multiplies latents. Upstream: BYTEDANCE_VAE_SCALING_FACTOR.
	scale = 0.9152
	// pieceBytes bounds the frames that go from layer to layer of the encoder at once.
	pieceBytes = 64 << 20
)

// Read implements family.VAE. Upstream: sd.py VAE.
func (vaeKind) Read(src weights.Source) (family.Autoencoder, error) {
	s := weights.NewScope(src)
	if !s.Has("decoder.up_blocks.2.upsamplers.0.upscale_conv.weight") {
		return nil, nil
	}
	if z := s.Shape("decoder.conv_in.weight"); len(z) != 5 || z[1] != channels {
		return nil, fmt.Errorf("its shapes make no VAE: decoder.conv_in.weight is %v, wanted %d channels and three axes", z, channels)
	}
	all := chunked.Taps{Source: src}
	v := &vae{src: src, up: &chunked.Network{Part: "vae decoder", Source: all, Layers: decoder(weights.NewScope(all)), Streamed: true}}
	if s.Has("encoder.conv_in.weight") {
		v.down = &chunked.Network{Part: "vae encoder", Source: all, Layers: encoder(weights.NewScope(all)), Limit: pieceBytes}
	}
	return v, nil
}

// vae is a VAE that was read from a file. A frame depends on itself and those before it, and norms are those of each frame, so that the
// number of frames that are computed together does not change the result.
type vae struct {
	src weights.Source
	// up decodes, down encodes; down is nil for a file without encoder.
	up, down *chunked.Network
}

var _ family.Streamed = (*vae)(nil)

// Info implements family.Autoencoder.
func (v *vae) Info() family.VAEInfo {
	return family.VAEInfo{
		Channels: channels, Downscale: downscale, CanEncode: v.down != nil, CanDecode: true, Video: true, Pace: pace, Uncropped: true, InnerRamps: true,
		Frames: func(n int) int { return max(pace*n-(pace-1), 0) },
	}
}

// Weights implements family.Autoencoder.
func (v *vae) Weights() []weights.Source { return []weights.Source{v.src} }

// DecodeStream implements family.Streamed.
func (v *vae) DecodeStream(ctx context.Context, run family.Runner, z *tensor.Tensor, emit func(frames *tensor.Tensor) error) error {
	if len(z.Shape) != 5 || z.Dim(0) != 1 || z.Dim(1) != channels || z.Dim(2) < 1 {
		return fmt.Errorf("decoding a latent of shape %v: the VAE reads %d channels and a time axis", z.Shape, channels)
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

// Encode implements family.Autoencoder: frames beyond the last whole group of four after the first one are left out, as upstream does.
func (v *vae) Encode(ctx context.Context, run family.Runner, x *tensor.Tensor) (*tensor.Tensor, error) {
	if v.down == nil {
		return nil, errors.New("encoding images: the file holds only the VAE's decoder")
	}
	if len(x.Shape) != 4 || x.Dim(1) != rgb || x.Dim(0) < 1 || min(x.Dim(2), x.Dim(3)) < downscale {
		return nil, fmt.Errorf("encoding images of shape %v: the VAE reads three channels and %d pixels a side or more", x.Shape, downscale)
	}
	if err := run.Check("encoding the video", v.EncodeMemory(x.Shape)); err != nil {
		return nil, err
	}
	var parts []*tensor.Tensor
	frames := func(from, to int) *tensor.Tensor { return chunked.Video(x.Slice(from, to)) }
	if err := v.down.RunFrom(ctx, run, 1+(x.Dim(0)-1)/pace*pace, frames, 1, pace, nil, func(y *tensor.Tensor) error {
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
	if v.down == nil {
		return 0
	}
	return v.down.Memory([]int{1, rgb, pixels[0], pixels[2], pixels[3]}, 1, pace)
}
