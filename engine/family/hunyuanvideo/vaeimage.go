package hunyuanvideo

import (
	"context"
	"errors"
	"fmt"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() {
	family.Register(imageVAEKind{name: "HunyuanImage 2.1 VAE", rank: 68, axes: 4, channels: 64, downscale: 32})
	family.Register(imageVAEKind{name: "VAE of the HunyuanImage 2.1 refiner", rank: 69, axes: 5, channels: 32, downscale: 16})
}

// imageVAEKind is the family of VAEs of HunyuanImage 2.1, which move pixels to channels and back, or of its refiner, whose convolutions
// are those of videos.
type imageVAEKind struct {
	name string
	rank int
	// axes is the number of axes of latents and of the weights of convolutions.
	axes, channels, downscale int
}

// Name implements family.Family.
func (k imageVAEKind) Name() string { return k.name }

// Rank implements family.Family.
func (k imageVAEKind) Rank() int { return k.rank }

// Read implements family.VAE. Upstream: sd.py VAE, hunyuan_video/vae.py, vae_refiner.py.
func (k imageVAEKind) Read(src weights.Source) (family.Autoencoder, error) {
	s := weights.NewScope(src)
	in := s.Shape("decoder.conv_in.weight")
	if len(in) != k.axes || in[1] != k.channels {
		return nil, nil
	}
	levels := s.Count("decoder.up")
	if levels == 0 || in[0]%in[1] != 0 {
		return nil, fmt.Errorf("its shapes make no VAE: decoder.conv_in.weight is %v, and it has %d levels", in, levels)
	}
	return &imageVAE{imageVAEKind: k, src: src, encodes: s.Has("encoder.conv_in.weight")}, nil
}

// imageVAE is such a VAE that was read from a file. An image is pace equal frames to the encoder of the refiner's, and the last of as many
// frames that its decoder makes.
type imageVAE struct {
	imageVAEKind
	src         weights.Source
	encodes     bool
	activations family.Activations
}

var _ family.Autoencoder = (*imageVAE)(nil)

func (v *imageVAE) video() bool { return v.axes > 4 }

// Info implements family.Autoencoder.
func (v *imageVAE) Info() family.VAEInfo {
	i := family.VAEInfo{Channels: v.channels, Downscale: v.downscale, CanEncode: v.encodes, CanDecode: true}
	if v.video() {
		i.Video, i.Apart, i.Pace = true, true, pace
		i.Frames = func(n int) int {
			if n == 1 {
				return 1
			}
			return pace * n
		}
	}
	return i
}

// Weights implements family.Autoencoder.
func (v *imageVAE) Weights() []weights.Source { return []weights.Source{v.src} }

// Decode implements family.Autoencoder.
func (v *imageVAE) Decode(ctx context.Context, run family.Runner, z *tensor.Tensor) (*tensor.Tensor, error) {
	if len(z.Shape) != v.axes || z.Dim(0) != 1 || z.Dim(1) != v.channels {
		return nil, fmt.Errorf("decoding a latent of shape %v: the VAE reads %d channels and %d axes", z.Shape, v.channels, v.axes)
	}
	one := v.video() && z.Dim(2) == 1
	out, err := run.Run(ctx, v.decoding(one), []family.Value{family.Floats("z", z)}, "out")
	if err != nil {
		return nil, err
	}
	return out["out"], nil
}

// Encode implements family.Autoencoder.
func (v *imageVAE) Encode(ctx context.Context, run family.Runner, x *tensor.Tensor) (*tensor.Tensor, error) {
	if !v.encodes {
		return nil, errors.New("encoding images: the file holds only the VAE's decoder")
	}
	if len(x.Shape) != 4 || x.Dim(0) != 1 || x.Dim(1) != rgb {
		return nil, fmt.Errorf("encoding images of shape %v: the VAE reads one image of three channels", x.Shape)
	}
	out, err := run.Run(ctx, v.encoding(), []family.Value{family.Floats("pixels", x)}, "latent")
	if err != nil {
		return nil, err
	}
	return out["latent"], nil
}

// decoding is the graph of the decoder; one reports that the latent is one frame.
func (v *imageVAE) decoding(one bool) family.Graph {
	return family.Graph{Part: "vae decoder", Variant: family.Digest(one), Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build(v.name+" decoder", v.src, func(b *nn.Builder, s *weights.Scope) { imageCoder{b}.decoder(s, v, one) })
	}}
}

func (v *imageVAE) encoding() family.Graph {
	return family.Graph{Part: "vae encoder", Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build(v.name+" encoder", v.src, func(b *nn.Builder, s *weights.Scope) { imageCoder{b}.encoder(s, v) })
	}}
}

// DecodeMemory implements family.Autoencoder.
func (v *imageVAE) DecodeMemory(latent []int) int64 {
	symbols := map[string]int{"H": latent[len(latent)-2], "W": latent[len(latent)-1]}
	if v.video() {
		symbols["T"] = latent[2]
	}
	return v.activations.Of(v.decoding(v.video() && latent[2] == 1), symbols)
}

// EncodeMemory implements family.Autoencoder.
func (v *imageVAE) EncodeMemory(pixels []int) int64 {
	if !v.encodes {
		return 0
	}
	return v.activations.Of(v.encoding(), map[string]int{"h": pixels[len(pixels)-2] / v.downscale, "w": pixels[len(pixels)-1] / v.downscale})
}

// imageCoder writes the layers.
type imageCoder struct{ *nn.Builder }

// decoder writes the decoder: input z [1,C,h,w] or [1,C,T,h,w]; output out [1,3,H,W], or the frames [T',3,H,W], of which one keeps the
// last one.
func (c imageCoder) decoder(s *weights.Scope, v *imageVAE, one bool) {
	d := s.At("decoder")
	shape := onnx.Shape{onnx.D(1), onnx.D(v.channels), onnx.Sym("H"), onnx.Sym("W")}
	if v.video() {
		shape = onnx.Shape{shape[0], shape[1], onnx.Sym("T"), shape[2], shape[3]}
	}
	if one {
		shape[2] = onnx.D(1)
	}
	z := c.Cast(c.Input("z", dtype.F32, shape...), c.Target.Compute)
	x := c.conv(d.At("conv_in"), z)
	x = c.middle(d.At("mid"), c.Add(x, c.repeat(z, x.Dim(1).N/v.channels)))
	for i := range d.Count("up") {
		up := d.At("up").Index(i)
		x = c.blocks(up, x)
		if up.HasAny("upsample") {
			x = c.grow(up.At("upsample.conv"), x, v.video() && i < quickLevels)
		}
	}
	x = c.conv(d.At("conv_out"), c.GroupNormSiLU(d.At("norm_out"), x, groups, epsilon))
	if one {
		x = c.Slice(x, 2, pace-1, pace)
	}
	if v.video() {
		x = c.Transpose(c.Squeeze(x, 0), 1, 0, 2, 3)
	}
	c.Output("out", c.Cast(x, dtype.F32))
}

// encoder writes the encoder: input pixels [1,3,H,W], output latent [1,C,h,w] or [1,C,1,h,w], the mean of the posterior.
func (c imageCoder) encoder(s *weights.Scope, v *imageVAE) {
	e := s.At("encoder")
	high, wide := onnx.Sym("h").Times(onnx.D(v.downscale)), onnx.Sym("w").Times(onnx.D(v.downscale))
	x := c.Cast(c.Input("pixels", dtype.F32, onnx.D(1), onnx.D(rgb), high, wide), c.Target.Compute)
	if v.video() {
		x = c.Expand(c.Unsqueeze(x, 2), onnx.D(1), onnx.D(rgb), onnx.D(pace), high, wide)
	}
	x = c.conv(e.At("conv_in"), x)
	for i := range e.Count("down") {
		down := e.At("down").Index(i)
		x = c.blocks(down, x)
		if down.HasAny("downsample") {
			x = c.shrink(down.At("downsample.conv"), x, v.video() && i >= flatLevels)
		}
	}
	x = c.middle(e.At("mid"), x)
	y := c.conv(e.At("conv_out"), c.GroupNormSiLU(e.At("norm_out"), x, groups, epsilon))
	y = c.Add(y, c.asVideo(x, func(x *onnx.Value) *onnx.Value { return means(c.Builder, x, y.Dim(1).N) }))
	c.Output("latent", c.Cast(c.Slice(y, 1, 0, v.channels), dtype.F32))
}

// conv is a convolution that keeps the size, with the width and the kernel of its weight.
func (c imageCoder) conv(s *weights.Scope, x *onnx.Value) *onnx.Value {
	kernel := 1
	if sh := s.Shape("weight"); len(sh) > 0 {
		kernel = sh[len(sh)-1]
	}
	if x.Rank() == 5 {
		return c.Conv3d(s, x, outOf(s), [3]int{kernel, kernel, kernel}, onnx.Same(kernel, kernel, kernel))
	}
	w := onnx.Window{Stride: 1}
	if kernel > 1 {
		w = onnx.Pad1()
	}
	return c.Conv2d(s, x, outOf(s), kernel, w)
}

// blocks writes the residual blocks of a level.
func (c imageCoder) blocks(s *weights.Scope, x *onnx.Value) *onnx.Value {
	for i := range s.Count("block") {
		x = c.residual(s.At("block").Index(i), x)
	}
	return x
}

func (c imageCoder) residual(s *weights.Scope, x *onnx.Value) *onnx.Value {
	y := c.conv(s.At("conv1"), c.GroupNormSiLU(s.At("norm1"), x, groups, epsilon))
	y = c.conv(s.At("conv2"), c.GroupNormSiLU(s.At("norm2"), y, groups, epsilon))
	if s.HasAny("nin_shortcut") {
		x = c.conv(s.At("nin_shortcut"), x)
	}
	return c.Add(x, y)
}

// middle has attention of all cells to each other, in one head, between two residual blocks.
func (c imageCoder) middle(s *weights.Scope, x *onnx.Value) *onnx.Value {
	x = c.residual(s.At("block_1"), x)
	a := s.At("attn_1")
	y := c.GroupNorm(a.At("norm"), x, groups, epsilon)
	tokens := func(name string) *onnx.Value {
		p := c.conv(a.At(name), y)
		return c.Transpose(c.Reshape(p, p.Dim(0), p.Dim(1), onnx.Infer), 0, 2, 1)
	}
	y = c.Attention(tokens("q"), tokens("k"), tokens("v"), nil, 1)
	y = c.conv(a.At("proj_out"), c.ReshapeLike(c.Transpose(y, 0, 2, 1), x))
	return c.residual(s.At("block_2"), c.Add(x, y))
}

// asVideo calls f with an image as a video of one frame.
func (c imageCoder) asVideo(x *onnx.Value, f func(x *onnx.Value) *onnx.Value) *onnx.Value {
	if x.Rank() == 5 {
		return f(x)
	}
	return c.Squeeze(f(c.Unsqueeze(x, 2)), 2)
}

// repeat repeats each channel n times in a row.
func (c imageCoder) repeat(x *onnx.Value, n int) *onnx.Value {
	factors := []int{1, n, 1, 1, 1}
	return c.RepeatElements(x, factors[:x.Rank()]...)
}

// grow moves channels to cells around a shortcut, and to two frames where slow is set. Upstream: PixelUnshuffle2D, UpSmpl.
func (c imageCoder) grow(s *weights.Scope, x *onnx.Value, slow bool) *onnx.Value {
	frames := 1
	if slow {
		frames = 2
	}
	spread := func(x *onnx.Value) *onnx.Value { return spread(c.Builder, x, frames) }
	y := c.conv(s, x)
	return c.Add(c.asVideo(y, spread), c.asVideo(c.repeat(x, y.Dim(1).N/x.Dim(1).N), spread))
}

// shrink is the inverse of grow. Upstream: PixelShuffle2D, DnSmpl.
func (c imageCoder) shrink(s *weights.Scope, x *onnx.Value, fast bool) *onnx.Value {
	frames := 1
	if fast {
		frames = 2
	}
	y := c.asVideo(c.conv(s, x), func(x *onnx.Value) *onnx.Value { return gather(c.Builder, x, frames) })
	return c.Add(y, c.asVideo(x, func(x *onnx.Value) *onnx.Value { return means(c.Builder, gather(c.Builder, x, frames), y.Dim(1).N) }))
}
