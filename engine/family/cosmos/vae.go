package cosmos

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

// vaeKind is the family of VAEs of Cosmos 1 (the tokenizer CV8x8x8).
type vaeKind struct{}

// Name implements family.Family.
func (vaeKind) Name() string { return "Cosmos VAE" }

// Rank implements family.Family.
func (vaeKind) Rank() int { return 58 }

const (
	rgb = 3
	// downscale is the number of pixels per latent cell, pace that of frames per latent after the first one.
	downscale = 8
	pace      = 8
	// cube is the side of the cubes of pixels that make one cell by wavelets.
	cube = 4
)

// Read implements family.VAE. Upstream: sd.py VAE.
func (vaeKind) Read(src weights.Source) (family.Autoencoder, error) {
	s := weights.NewScope(src)
	if !s.Has("decoder.unpatcher3d.wavelets") {
		return nil, nil
	}
	z, end, mean := s.Shape("post_quant_conv.conv3d.weight"), s.Shape("decoder.conv_out.0.conv3d.weight"), s.Shape("latent_mean")
	if len(z) != 5 || z[1] != latents.Cosmos1.Channels || len(end) != 5 || end[0] != rgb*cube*cube*cube || len(mean) != 1 || mean[0]%z[1] != 0 || mean[0] == 0 {
		return nil, fmt.Errorf("its shapes make no VAE: post_quant_conv.conv3d.weight is %v, decoder.conv_out.0.conv3d.weight %v, latent_mean %v", z, end, mean)
	}
	v := &vae{src: src, channels: z[1], encodes: s.Has("encoder.conv_in.0.conv3d.weight") && s.Has("quant_conv.conv3d.weight")}
	v.up = decoderOf(src, v.channels)
	if v.encodes {
		v.down = encoderOf(src, v.channels)
	}
	return v, nil
}

// coders are a coder in three parts: the part before the attention of frames, that attention, in which a frame attends to all earlier
// ones, and the part after it.
type coders [3]*chunked.Network

// vae is a VAE that was read from a file.
type vae struct {
	src      weights.Source
	channels int
	encodes  bool
	up, down coders
}

var _ family.Streamed = (*vae)(nil)

// Info implements family.Autoencoder.
func (v *vae) Info() family.VAEInfo {
	return family.VAEInfo{
		Channels: v.channels, Downscale: downscale, CanEncode: v.encodes, CanDecode: true, Video: true, Pace: pace,
		Frames: func(n int) int { return max(pace*n-(pace-1), 0) },
	}
}

// Weights implements family.Autoencoder.
func (v *vae) Weights() []weights.Source { return []weights.Source{v.src} }

// run runs the parts of a coder on x, in chunks of first and rest frames, and the last part on the resulting latents.
func (c coders) run(ctx context.Context, run family.Runner, total int, frames func(from, to int) *tensor.Tensor, first, rest int, emit func(y *tensor.Tensor) error) error {
	var parts []*tensor.Tensor
	gather := func(y *tensor.Tensor) error {
		parts = append(parts, y)
		return nil
	}
	if err := c[0].RunFrom(ctx, run, total, frames, first, rest, nil, gather); err != nil {
		return err
	}
	x := chunked.JoinFrames(parts...)
	parts = nil
	if err := c[1].Run(ctx, run, x, 0, 0, nil, gather); err != nil {
		return err
	}
	return c[2].Run(ctx, run, parts[0], 1, 1, nil, emit)
}

// memory estimates run for frames of a shape that become the given number of latents.
func (c coders) memory(shape []int, first, rest, count int) int64 {
	cells := []int{1, c[1].Layers[0].Channels, count, shape[3], shape[4]}
	if first != rest { // the encoder's frames are larger
		const smaller = downscale / cube
		cells[3], cells[4] = shape[3]/smaller, shape[4]/smaller
	}
	held := 4 * family.Product(cells...)
	return max(held+c[0].Memory(shape, first, rest), held+c[1].Memory(cells, 0, 0), held+c[2].Memory(cells, 1, 1))
}

// normal applies the mean and the deviation of latents, which the file has for some frames, over and over: f maps a value.
func (v *vae) normal(run family.Runner, z *tensor.Tensor, f func(v, mean, deviation float32) float32) error {
	src, err := run.Patched(v.src)
	if err != nil {
		return err
	}
	s := weights.NewScope(src)
	var values [2][]float32
	for i, name := range []string{"latent_mean", "latent_std"} {
		r := s.Weight(name, s.Shape("latent_mean")...)
		if r.Missing() {
			return s.Err()
		}
		values[i] = make([]float32, r.Entry.Count())
		if err = weights.ToFloat32(values[i], r.Entry); err != nil {
			return err
		}
	}
	frames, n, size := len(values[0])/v.channels, z.Dim(2), z.Dim(3)*z.Dim(4)
	for plane := range v.channels * n {
		at := plane/n*frames + plane%n%frames
		for i := range size {
			p := &z.Data[plane*size+i]
			*p = f(*p, values[0][at], values[1][at])
		}
	}
	return nil
}

// DecodeStream implements family.Streamed.
func (v *vae) DecodeStream(ctx context.Context, run family.Runner, z *tensor.Tensor, emit func(frames *tensor.Tensor) error) error {
	if len(z.Shape) != 5 || z.Dim(0) != 1 || z.Dim(1) != v.channels || z.Dim(2) < 1 {
		return fmt.Errorf("decoding a latent of shape %v: the VAE reads %d channels and a time axis", z.Shape, v.channels)
	}
	if err := run.Check("decoding the video", v.DecodeMemory(z.Shape)); err != nil {
		return err
	}
	z = z.Clone()
	if err := v.normal(run, z, func(x, mean, d float32) float32 { return x/deviation*d + mean }); err != nil {
		return err
	}
	frames := func(from, to int) *tensor.Tensor { return chunked.Frames(z, from, to) }
	return v.up.run(ctx, run, z.Dim(2), frames, 1, 1, func(y *tensor.Tensor) error { return emit(chunked.Images(y)) })
}

// Decode implements family.Autoencoder.
func (v *vae) Decode(ctx context.Context, run family.Runner, z *tensor.Tensor) (*tensor.Tensor, error) {
	return family.Collect(ctx, run, v, z)
}

// Encode implements family.Autoencoder.
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
	order := frameOrder(x.Dim(0))
	frames := func(from, to int) *tensor.Tensor {
		var parts []*tensor.Tensor
		for _, i := range order[from:to] {
			parts = append(parts, chunked.Video(x.Slice(i, i+1)))
		}
		return chunked.JoinFrames(parts...)
	}
	var parts []*tensor.Tensor
	err := v.down.run(ctx, run, len(order), frames, cube, pace, func(y *tensor.Tensor) error {
		parts = append(parts, y)
		return nil
	})
	if err != nil {
		return nil, err
	}
	z := chunked.JoinFrames(parts...)
	return z, v.normal(run, z, func(x, mean, d float32) float32 { return (x - mean) / d * deviation })
}

// frameOrder lists the encoded frames of a video: the first one fills a cube by itself, and incomplete cubes are filled by the border
// rule of the wavelets. Frames that do not fill a latent are left out. Upstream: cosmos_tokenizer/patching.py Patcher3D.
func frameOrder(n int) []int {
	order := make([]int, cube-1, n+2*cube)
	for i := range n {
		order = append(order, i)
	}
	if len(order)%2 == 1 {
		order = append(order, order[len(order)-2])
	}
	if len(order)%cube != 0 {
		order = append(order, order[len(order)-4:len(order)-2]...)
	}
	return order[:cube+(len(order)-cube)/pace*pace]
}

// DecodeMemory implements family.Autoencoder.
func (v *vae) DecodeMemory(latent []int) int64 {
	return v.up.memory([]int{1, v.channels, latent[2], latent[3], latent[4]}, 1, 1, latent[2])
}

// EncodeMemory implements family.Autoencoder.
func (v *vae) EncodeMemory(pixels []int) int64 {
	frames := len(frameOrder(pixels[0]))
	return v.down.memory([]int{1, rgb, frames, pixels[2], pixels[3]}, cube, pace, (frames-cube)/pace+1)
}
