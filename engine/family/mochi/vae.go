package mochi

import (
	"context"
	"errors"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/family/chunked"
	"comfygo/engine/family/latents"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(vaeKind{}) }

// vaeKind is the family of VAEs.
type vaeKind struct{}

// Name implements family.Family.
func (vaeKind) Name() string { return "Mochi VAE" }

// Rank implements family.Family.
func (vaeKind) Rank() int { return 59 }

const (
	rgb = 3
	// downscale is the number of pixels per latent cell, pace that of frames per latent after the first one.
	downscale = 8
	pace      = 6
	// encoded is the number of frames that the first levels of the encoder take at once.
	encoded = 4
)

// Read implements family.VAE for files with both halves, or with one half without a prefix. Upstream: sd.py VAE.
func (vaeKind) Read(src weights.Source) (family.Autoencoder, error) {
	s := weights.NewScope(src)
	root := func(half, key string) (string, bool) {
		if s.Has(half + "." + key) {
			return half + ".", true
		}
		return "", s.Has(key)
	}
	decoder, decodes := root("decoder", "blocks.2.blocks.3.stack.5.weight")
	encoder, encodes := root("encoder", "layers.4.layers.1.attn_block.attn.qkv.weight")
	if !decodes && !encodes {
		return nil, nil
	}
	v := &vae{src: src, channels: latents.Mochi.Channels}
	all := chunked.Taps{Source: src}
	if decodes {
		if z := s.Shape(decoder + "blocks.0.0.weight"); len(z) != 5 || z[1] != v.channels {
			return nil, fmt.Errorf("its shapes make no VAE: %sblocks.0.0.weight is %v, wanted %d channels", decoder, z, v.channels)
		}
		v.up = decoderOf(all, decoder, v.channels)
	}
	if encodes {
		if z := s.Shape(encoder + "output_proj.weight"); len(z) != 2 || z[0] != 2*v.channels {
			return nil, fmt.Errorf("its shapes make no VAE: %soutput_proj.weight is %v, wanted %d rows", encoder, z, 2*v.channels)
		}
		v.down, v.end = encoderOf(all, encoder, v.channels)
	}
	return v, nil
}

// vae is a VAE that was read from a file. The decoder runs frame by frame. In the encoder, all frames attend to each other from the
// second level on, so its state grows with the length of the video.
type vae struct {
	src      weights.Source
	channels int
	// up decodes, down and end encode; nil for a half that the file lacks.
	up, down, end *chunked.Network
}

var _ family.Streamed = (*vae)(nil)

// Info implements family.Autoencoder.
func (v *vae) Info() family.VAEInfo {
	return family.VAEInfo{
		Channels: v.channels, Downscale: downscale, CanEncode: v.down != nil, CanDecode: v.up != nil, Video: true, Pace: pace,
		Frames: func(n int) int { return max(pace*n-(pace-1), 0) },
	}
}

// Weights implements family.Autoencoder.
func (v *vae) Weights() []weights.Source { return []weights.Source{v.src} }

// DecodeStream implements family.Streamed.
func (v *vae) DecodeStream(ctx context.Context, run family.Runner, z *tensor.Tensor, emit func(frames *tensor.Tensor) error) error {
	if v.up == nil {
		return errors.New("decoding a latent: the file holds only the VAE's encoder")
	}
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

// Encode implements family.Autoencoder.
func (v *vae) Encode(ctx context.Context, run family.Runner, x *tensor.Tensor) (*tensor.Tensor, error) {
	if v.down == nil {
		return nil, errors.New("encoding images: the file holds only the VAE's decoder")
	}
	if len(x.Shape) != 4 || x.Dim(1) != rgb || x.Dim(0) < 1 {
		return nil, fmt.Errorf("encoding images of shape %v: the VAE reads three channels", x.Shape)
	}
	if err := run.Check("encoding the video", v.EncodeMemory(x.Shape)); err != nil {
		return nil, err
	}
	var parts []*tensor.Tensor
	gather := func(y *tensor.Tensor) error {
		parts = append(parts, y)
		return nil
	}
	frames := func(from, to int) *tensor.Tensor { return chunked.Video(x.Slice(from, to)) }
	if err := v.down.RunFrom(ctx, run, x.Dim(0), frames, encoded, encoded, nil, gather); err != nil {
		return nil, err
	}
	half := chunked.JoinFrames(parts...)
	parts = nil
	err := v.end.Run(ctx, run, half, 0, 0, nil, gather)
	if err != nil {
		return nil, err
	}
	return parts[0], nil
}

// DecodeMemory implements family.Autoencoder.
func (v *vae) DecodeMemory(latent []int) int64 {
	if v.up == nil {
		return 0
	}
	return v.up.Memory(latent, 1, 1)
}

// EncodeMemory implements family.Autoencoder.
func (v *vae) EncodeMemory(pixels []int) int64 {
	if v.down == nil {
		return 0
	}
	half := []int{1, v.end.Layers[0].Channels, pixels[0], pixels[2] / 2, pixels[3] / 2}
	return max(v.down.Memory([]int{1, rgb, min(encoded, pixels[0]), pixels[2], pixels[3]}, encoded, encoded)+4*family.Product(half...), v.end.Memory(half, 0, 0))
}
