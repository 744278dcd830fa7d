// Package hunyuanvideo is the family of HunyuanVideo: diffusion models for videos from text and images, version 1.5 with its
// super-resolution, the refiner of HunyuanImage 2.1, their VAEs and text encoding.
package hunyuanvideo

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

// vaeKind is the family of VAEs of HunyuanVideo 1.0, which Kandinsky 5 uses, too.
type vaeKind struct{}

// Name implements family.Family.
func (vaeKind) Name() string { return "HunyuanVideo VAE" }

// Rank implements family.Family.
func (vaeKind) Rank() int { return 64 }

// pace is the number of frames per latent frame after the first one, downscale that of pixels per latent cell.
const (
	pace      = 4
	downscale = 8
	rgb       = 3
)

// Read implements family.VAE. Upstream: sd.py VAE.
func (vaeKind) Read(src weights.Source) (family.Autoencoder, error) {
	s := weights.NewScope(src)
	in := s.Shape("decoder.conv_in.conv.weight")
	if in == nil || s.HasAny("decoder.mid_block") || s.HasAny("decoder.up_blocks") || !s.Has("post_quant_conv.weight") {
		return nil, nil
	}
	z := s.Shape("post_quant_conv.weight")
	if len(in) != 5 || len(z) != 5 || s.Count("decoder.up") == 0 {
		return nil, fmt.Errorf("its shapes make no VAE: decoder.conv_in.conv.weight is %v, post_quant_conv.weight %v", in, z)
	}
	v := &vae{src: src, channels: z[1], downscale: downscale, latents: [2]int{latentChunk, latentChunk}, tailFrames: latentChunk, frames: frameChunk, encodes: s.Has("encoder.conv_in.conv.weight") && s.Has("quant_conv.weight")}
	v.front, v.tail = decoderOf(src, s, z[1])
	if v.encodes {
		v.down, v.end = encoderOf(src, s, z[1])
	}
	return v, nil
}

// vae is a VAE of either version that was read from a file. Its middle processes all latent frames; the layers around it process a few at a time with
// norms per chunk, as in upstream.
type vae struct {
	src      weights.Source
	channels int
	encodes  bool
	// downscale is the number of pixels per latent cell.
	downscale int
	// latents are the numbers of latent frames in the first and in each further chunk, tailFrames the largest number that a layer after the
	// middle processes at once, and frames is the number of frames in a chunk after the first one.
	latents            [2]int
	tailFrames, frames int
	// front and tail decode, down and end encode.
	front, tail, down, end *chunked.Network
}

var _ family.Streamed = (*vae)(nil)

// The numbers of latent frames and of frames in a chunk. Upstream: Decoder.forward, Encoder.forward.
const (
	latentChunk = 2
	frameChunk  = 2 * pace
)

// Info implements family.Autoencoder.
func (v *vae) Info() family.VAEInfo {
	return family.VAEInfo{
		Channels: v.channels, Downscale: v.downscale, CanEncode: v.encodes, CanDecode: true, Video: true, Pace: pace,
		Frames: func(n int) int { return max(pace*n-(pace-1), 0) },
	}
}

// Weights implements family.Autoencoder.
func (v *vae) Weights() []weights.Source { return []weights.Source{v.src} }

// whole runs a network on all frames at once.
func whole(ctx context.Context, run family.Runner, n *chunked.Network, x *tensor.Tensor) (out *tensor.Tensor, err error) {
	err = n.Run(ctx, run, x, 0, 0, nil, func(y *tensor.Tensor) error {
		out = y
		return nil
	})
	return out, err
}

// DecodeStream implements family.Streamed.
func (v *vae) DecodeStream(ctx context.Context, run family.Runner, z *tensor.Tensor, emit func(frames *tensor.Tensor) error) error {
	if len(z.Shape) != 5 || z.Dim(0) != 1 || z.Dim(1) != v.channels || z.Dim(2) < 1 {
		return fmt.Errorf("decoding a latent of shape %v: the VAE reads %d channels and a time axis", z.Shape, v.channels)
	}
	if err := run.Check("decoding the video", v.DecodeMemory(z.Shape)); err != nil {
		return err
	}
	x, err := whole(ctx, run, v.front, z)
	if err != nil {
		return err
	}
	return v.tail.Run(ctx, run, x, v.latents[0], v.latents[1], nil, func(y *tensor.Tensor) error { return emit(chunked.Images(y)) })
}

// Decode implements family.Autoencoder.
func (v *vae) Decode(ctx context.Context, run family.Runner, z *tensor.Tensor) (*tensor.Tensor, error) {
	return family.Collect(ctx, run, v, z)
}

// Encode implements family.Autoencoder: frames beyond the last whole group of four after the first one are left out, as upstream does.
func (v *vae) Encode(ctx context.Context, run family.Runner, x *tensor.Tensor) (*tensor.Tensor, error) {
	if !v.encodes {
		return nil, errors.New("encoding images: the file holds only the VAE's decoder")
	}
	if len(x.Shape) != 4 || x.Dim(1) != rgb || x.Dim(0) < 1 {
		return nil, fmt.Errorf("encoding images of shape %v: the VAE reads three channels", x.Shape)
	}
	if err := run.Check("encoding the video", v.EncodeMemory(x.Shape)); err != nil {
		return nil, err
	}
	video := chunked.Video(x.Slice(0, 1+(x.Dim(0)-1)/pace*pace))
	var parts []*tensor.Tensor
	if err := v.down.Run(ctx, run, video, 1, v.frames, nil, func(y *tensor.Tensor) error {
		parts = append(parts, y)
		return nil
	}); err != nil {
		return nil, err
	}
	return whole(ctx, run, v.end, chunked.JoinFrames(parts...))
}

// DecodeMemory implements family.Autoencoder: of the middle or of a chunk, whichever is larger.
func (v *vae) DecodeMemory(latent []int) int64 {
	return max(v.front.Memory(latent, 0, 0), v.tail.Memory([]int{1, v.tail.Layers[0].Channels, latent[2], latent[3], latent[4]}, v.latents[0], v.tailFrames))
}

// EncodeMemory implements family.Autoencoder; see DecodeMemory.
func (v *vae) EncodeMemory(pixels []int) int64 {
	frames := 1 + (pixels[0]-1)/pace*pace
	return max(v.down.Memory([]int{1, rgb, frames, pixels[2], pixels[3]}, 1, v.frames),
		v.end.Memory([]int{1, v.end.Layers[0].Channels, (frames + pace - 1) / pace, pixels[2] / v.downscale, pixels[3] / v.downscale}, 0, 0))
}
