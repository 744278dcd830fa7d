package cogvideo

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
func (vaeKind) Name() string { return "CogVideoX VAE" }

// Rank implements family.Family.
func (vaeKind) Rank() int { return 57 }

const (
	rgb = 3
	// downscale is the number of pixels per latent cell, pace that of frames per latent frame.
	downscale = 8
	pace      = 4
	// slowLevels is the number of levels that change the number of frames, by two each.
	slowLevels = 2
	// decoded is the number of frames that go through the levels after these at once, encoded that of frames that are encoded at once;
	// the norms are those of each chunk. Upstream: AutoencoderKLCogVideoX.
	decoded = 4
	encoded = 8
)

// Read implements family.VAE. Upstream: sd.py VAE.
func (vaeKind) Read(src weights.Source) (family.Autoencoder, error) {
	s := weights.NewScope(src)
	if !s.Has("decoder.conv_in.conv.weight") || !s.Has("decoder.mid_block.resnets.0.norm1.norm_layer.weight") {
		return nil, nil
	}
	z := s.Shape("decoder.conv_in.conv.weight")
	if len(z) != 5 || s.Count("decoder.up_blocks") <= slowLevels {
		return nil, fmt.Errorf("its shapes make no VAE: decoder.conv_in.conv.weight is %v, and decoder.up_blocks has %d levels", z, s.Count("decoder.up_blocks"))
	}
	v := &vae{src: src, channels: z[1], encodes: s.Has("encoder.conv_out.conv.weight")}
	all := chunked.Taps{Source: src}
	v.front, v.tail = decoderOf(all, v.channels)
	if v.encodes {
		v.down = encoderOf(all, v.channels)
	}
	return v, nil
}

// vae is a VAE that was read from a file. Each norm of the decoder's levels that change the number of frames sees all of them, as in
// upstream, so their state grows with the length of the video; the following levels, which are the largest, run on a few frames.
type vae struct {
	src      weights.Source
	channels int
	encodes  bool
	// front decodes up to the last change of the number of frames, tail decodes the rest; down encodes.
	front, tail, down *chunked.Network
}

var _ family.Streamed = (*vae)(nil)

// Info implements family.Autoencoder.
func (v *vae) Info() family.VAEInfo {
	return family.VAEInfo{
		Channels: v.channels, Downscale: downscale, CanEncode: v.encodes, CanDecode: true, Video: true, Pace: pace,
		Frames: func(n int) int { return doubled(doubled(n)) },
	}
}

// doubled is the number of frames after a level that doubles them, except for the first one of an odd number.
func doubled(n int) int { return 2*n - n%2 }

// Weights implements family.Autoencoder.
func (v *vae) Weights() []weights.Source { return []weights.Source{v.src} }

// DecodeStream implements family.Streamed.
func (v *vae) DecodeStream(ctx context.Context, run family.Runner, z *tensor.Tensor, emit func(frames *tensor.Tensor) error) error {
	if len(z.Shape) != 5 || z.Dim(0) != 1 || z.Dim(1) != v.channels || z.Dim(2) < 1 {
		return fmt.Errorf("decoding a latent of shape %v: the VAE reads %d channels and a time axis", z.Shape, v.channels)
	}
	if err := run.Check("decoding the video", v.DecodeMemory(z.Shape)); err != nil {
		return err
	}
	var x *tensor.Tensor
	if err := v.front.Run(ctx, run, z, 0, 0, nil, func(y *tensor.Tensor) error {
		x = y
		return nil
	}); err != nil {
		return err
	}
	n := x.Dim(2)
	repeated := func(from, to int) *tensor.Tensor {
		parts := make([]*tensor.Tensor, to-from)
		for i := range parts {
			at := (from + i + n%2) / 2
			parts[i] = chunked.Frames(x, at, at+1)
		}
		return chunked.JoinFrames(parts...)
	}
	return v.tail.RunFrom(ctx, run, doubled(n), repeated, decoded, decoded, nil, func(y *tensor.Tensor) error { return emit(chunked.Images(y)) })
}

// Decode implements family.Autoencoder.
func (v *vae) Decode(ctx context.Context, run family.Runner, z *tensor.Tensor) (*tensor.Tensor, error) {
	return family.Collect(ctx, run, v, z)
}

// Encode implements family.Autoencoder. The first chunk has the frames that do not fill a chunk.
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
	first := (x.Dim(0)-1)%encoded + 1
	var parts []*tensor.Tensor
	frames := func(from, to int) *tensor.Tensor { return chunked.Video(x.Slice(from, to)) }
	if err := v.down.RunFrom(ctx, run, x.Dim(0), frames, first, encoded, nil, func(y *tensor.Tensor) error {
		parts = append(parts, y)
		return nil
	}); err != nil {
		return nil, err
	}
	return chunked.JoinFrames(parts...), nil
}

// DecodeMemory implements family.Autoencoder.
func (v *vae) DecodeMemory(latent []int) int64 {
	const slow = 1 << (slowLevels - 1) // the factor of the sides in the first part
	kept := []int{1, v.tail.Layers[0].Channels, doubled(latent[2]), slow * latent[3], slow * latent[4]}
	held := 4 * family.Product(kept...)
	kept[2] = min(decoded, doubled(kept[2]))
	return max(v.front.Memory(latent, 0, 0), held+v.tail.Memory(kept, decoded, decoded))
}

// EncodeMemory implements family.Autoencoder.
func (v *vae) EncodeMemory(pixels []int) int64 {
	return v.down.Memory([]int{1, rgb, min(encoded, pixels[0]), pixels[2], pixels[3]}, encoded, encoded)
}
