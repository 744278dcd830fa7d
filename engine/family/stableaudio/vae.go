package stableaudio

import (
	"context"
	"errors"
	"fmt"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/torchrand"
	"comfygo/engine/weights"
)

func init() { family.Register(vaeKind{}) }

// vaeKind is the family of Oobleck VAEs, of Stable Audio Open and ACE-Step 1.5.
type vaeKind struct{}

// Name implements family.Family.
func (vaeKind) Name() string { return "Oobleck VAE (audio)" }

// Rank implements family.Family.
func (vaeKind) Rank() int { return 205 }

// Read implements family.VAE. Upstream: sd.py VAE, ldm/audio/autoencoder.py AudioOobleckVAE.
func (vaeKind) Read(src weights.Source) (family.Autoencoder, error) {
	if _, ok := src.Lookup("decoder.layers.1.layers.0.beta"); !ok {
		return nil, nil
	}
	v := &vae{src: normed{weights.WeightNorm(src)}, hop: 1}
	s := weights.NewScope(v.src)
	first := s.Shape("decoder.layers.0.weight")
	if len(first) != 3 {
		return nil, fmt.Errorf("its shapes make no VAE: decoder.layers.0.weight is %v", first)
	}
	v.channels = first[1]
	for i := 1; ; i++ {
		up := s.Shape(fmt.Sprintf("decoder.layers.%d.layers.1.weight", i))
		if up == nil {
			v.blocks = i - 1
			break
		}
		if len(up) != 3 || up[2]%4 != 0 { // a kernel of two strides, which are even
			return nil, fmt.Errorf("its shapes make no VAE: decoder.layers.%d.layers.1.weight is %v", i, up)
		}
		v.strides = append(v.strides, up[2]/2)
		v.hop *= up[2] / 2
	}
	last := s.Shape(fmt.Sprintf("decoder.layers.%d.weight", v.blocks+2))
	if len(last) != 3 || last[0] != stereo || v.blocks == 0 {
		return nil, fmt.Errorf("its shapes make no VAE: %d blocks, and the last layer's weight is %v: wanted %d audio channels", v.blocks, last, stereo)
	}
	v.rate = 44100
	if v.hop == quickHop {
		v.rate = 48000
	}
	v.encodes = s.Shape("encoder.layers.0.weight") != nil
	return v, nil
}

const (
	// stereo is the number of channels of the audio.
	stereo = 2
	// quickHop is the number of samples per latent of VAEs for 48 kHz.
	quickHop = 1920
	// piece is the number of latents that are decoded or encoded at once.
	piece = 128
)

// vae is a VAE that was read from a file.
type vae struct {
	src                         weights.Source
	channels, blocks, hop, rate int
	// strides are the strides of the decoder's blocks, in its order.
	strides []int
	encodes bool

	activations family.Activations
}

var _ family.Autoencoder = (*vae)(nil)

// Info implements family.Autoencoder.
func (v *vae) Info() family.VAEInfo {
	return family.VAEInfo{
		Channels: v.channels, Downscale: v.hop, CanEncode: v.encodes, CanDecode: true, Untiled: true,
		Audio: &family.AudioInfo{Channels: stereo, Rate: v.rate, Hop: v.hop},
	}
}

// Weights implements family.Autoencoder.
func (v *vae) Weights() []weights.Source { return []weights.Source{v.src} }

// context is the number of latents on each side that a decoded or encoded one depends on: the reach of the residual units of each
// level, 39 samples of it, of the layers that change the size and of the first and the last one.
func (v *vae) context() int {
	const unit, resize, edge = 39, 2, 8
	n, size := edge, 1
	for _, s := range v.strides {
		size *= s
		n += (unit+size-1)/size + resize
	}
	return n
}

// Decode implements family.Autoencoder: a latent [1,C,L] becomes audio [1,2,L·hop]. It is decoded in pieces, with the surrounding
// latents that each depends on.
func (v *vae) Decode(ctx context.Context, run family.Runner, z *tensor.Tensor) (*tensor.Tensor, error) {
	if len(z.Shape) != 3 || z.Dim(0) != 1 || z.Dim(1) != v.channels || z.Dim(2) < 1 {
		return nil, fmt.Errorf("decoding a latent of shape %v: the VAE reads audio latents [1,%d,length]", z.Shape, v.channels)
	}
	if err := run.Check("decoding the audio", v.DecodeMemory(z.Shape)); err != nil {
		return nil, err
	}
	out := tensor.New(1, stereo, z.Dim(2)*v.hop)
	return out, v.pieces(z.Dim(2), func(from, to, left, right int) error {
		y, err := run.Run(ctx, v.graph("vae decoder", v.writeDecoder), []family.Value{family.Floats("z", span(z, left, right))}, "out")
		if err != nil {
			return err
		}
		place(out, y["out"], from*v.hop, to*v.hop, (from-left)*v.hop)
		return nil
	})
}

// pieces calls f for each piece [from, to) of n latents and what surrounds it, [left, right).
func (v *vae) pieces(n int, f func(from, to, left, right int) error) error {
	around := v.context()
	for from := 0; from < n; from += piece {
		to := min(from+piece, n)
		if err := f(from, to, max(from-around, 0), min(to+around, n)); err != nil {
			return err
		}
	}
	return nil
}

// span returns [from, to) of the last axis of x [1,C,L].
func span(x *tensor.Tensor, from, to int) *tensor.Tensor {
	out := tensor.New(1, x.Dim(1), to-from)
	for c := range x.Dim(1) {
		copy(out.Data[c*(to-from):(c+1)*(to-from)], x.Data[c*x.Dim(2)+from:])
	}
	return out
}

// place puts elements from skip on of y [1,C,l] to [from, to) of out [1,C,L].
func place(out, y *tensor.Tensor, from, to, skip int) {
	for c := range out.Dim(1) {
		copy(out.Data[c*out.Dim(2)+from:c*out.Dim(2)+to], y.Data[c*y.Dim(2)+skip:])
	}
}

// Encode implements family.Autoencoder: audio [1,2,T] becomes a latent [1,C,T/hop], drawn from the posterior by a generator that begins
// anew each time.
func (v *vae) Encode(ctx context.Context, run family.Runner, x *tensor.Tensor) (*tensor.Tensor, error) {
	if !v.encodes {
		return nil, errors.New("encoding audio: the file holds only the VAE's decoder")
	}
	if len(x.Shape) != 3 || x.Dim(0) != 1 || x.Dim(1) != stereo || x.Dim(2) < v.hop {
		return nil, fmt.Errorf("encoding audio of shape %v: the VAE reads [1,%d,samples], at least %d samples", x.Shape, stereo, v.hop)
	}
	if err := run.Check("encoding the audio", v.EncodeMemory(x.Shape)); err != nil {
		return nil, err
	}
	moments, err := v.moments(ctx, run, x)
	if err != nil {
		return nil, err
	}
	return sampled(moments), nil
}

// moments are the means and scales of the latent of audio, [1,2·C,L].
func (v *vae) moments(ctx context.Context, run family.Runner, x *tensor.Tensor) (*tensor.Tensor, error) {
	n := x.Dim(2) / v.hop
	out := tensor.New(1, 2*v.channels, n)
	return out, v.pieces(n, func(from, to, left, right int) error {
		y, err := run.Run(ctx, v.graph("vae encoder", v.writeEncoder), []family.Value{family.Floats("audio", span(x, left*v.hop, right*v.hop))}, "out")
		if err != nil {
			return err
		}
		place(out, y["out"], from, to, from-left)
		return nil
	})
}

// sampled draws a latent from its means and scales [1,2·C,L]. Upstream: vae_sample, whose generator depends on all earlier calls.
func sampled(moments *tensor.Tensor) *tensor.Tensor {
	const least = 1e-4
	out := tensor.New(1, moments.Dim(1)/2, moments.Dim(2))
	noise := make([]float32, len(out.Data))
	torchrand.New(0).Randn(noise)
	for i := range out.Data {
		scale := float64(moments.Data[len(out.Data)+i])
		out.Data[i] = moments.Data[i] + noise[i]*float32(softplus(scale)+least)
	}
	return out
}

func (v *vae) graph(part string, write func(b *nn.Builder, s *weights.Scope)) family.Graph {
	return family.Graph{Part: part, Build: func(s family.Spec) (*onnx.Graph, error) { return s.Build("oobleck "+part, v.src, write) }}
}

// writeDecoder writes the decoder: input z [1,C,L], output out [1,2,L·hop].
func (v *vae) writeDecoder(b *nn.Builder, s *weights.Scope) {
	z := b.Input("z", dtype.F32, onnx.D(1), onnx.D(v.channels), onnx.Sym("L"))
	d := s.At("decoder.layers")
	x := conv(b, d.Index(0), b.Cast(z, b.Target.Compute), onnx.WindowND{Before: []int{3}, After: []int{3}})
	for i, stride := range v.strides {
		block := d.Index(i + 1).At("layers")
		x = snake(b, block.Index(0), x)
		pad := (stride + 1) / 2
		up := block.Index(1)
		out := 1
		if sh := up.Shape("weight"); len(sh) == 3 {
			out = sh[1]
		}
		x = b.ConvTranspose(up, x, out, []int{2 * stride}, 1, onnx.WindowND{Stride: []int{stride}, Before: []int{pad}, After: []int{pad}})
		for k, dilation := range dilations {
			x = unit(b, block.Index(2+k).At("layers"), x, dilation)
		}
	}
	x = snake(b, d.Index(v.blocks+1), x)
	x = conv(b, d.Index(v.blocks+2), x, onnx.WindowND{Before: []int{3}, After: []int{3}})
	b.Output("out", b.Cast(x, dtype.F32))
}

// writeEncoder writes the encoder: input audio [1,2,L·hop], output out [1,2·C,L].
func (v *vae) writeEncoder(b *nn.Builder, s *weights.Scope) {
	audio := b.Input("audio", dtype.F32, onnx.D(1), onnx.D(stereo), onnx.Sym("L").Times(onnx.D(v.hop)))
	e := s.At("encoder.layers")
	x := conv(b, e.Index(0), b.Cast(audio, b.Target.Compute), onnx.WindowND{Before: []int{3}, After: []int{3}})
	for i := range v.strides {
		stride := v.strides[len(v.strides)-1-i]
		block := e.Index(i + 1).At("layers")
		for k, dilation := range dilations {
			x = unit(b, block.Index(k).At("layers"), x, dilation)
		}
		pad := (stride + 1) / 2
		x = conv(b, block.Index(4), snake(b, block.Index(3), x), onnx.WindowND{Stride: []int{stride}, Before: []int{pad}, After: []int{pad}})
	}
	x = snake(b, e.Index(v.blocks+1), x)
	x = conv(b, e.Index(v.blocks+2), x, onnx.WindowND{Before: []int{1}, After: []int{1}})
	b.Output("out", b.Cast(x, dtype.F32))
}

// dilations are the dilations of the residual units of a level.
var dilations = []int{1, 3, 9}

// conv is the convolution at s over time.
func conv(b *nn.Builder, s *weights.Scope, x *onnx.Value, w onnx.WindowND) *onnx.Value {
	out, kernel := 1, 1
	if sh := s.Shape("weight"); len(sh) == 3 {
		out, kernel = sh[0], sh[2]
	}
	return b.Conv1d(s, x, out, kernel, 1, w)
}

// unit is two convolutions around a shortcut. Upstream: ResidualUnit.
func unit(b *nn.Builder, s *weights.Scope, x *onnx.Value, dilation int) *onnx.Value {
	pad := []int{3 * dilation}
	y := conv(b, s.Index(1), snake(b, s.Index(0), x), onnx.WindowND{Dilation: []int{dilation}, Before: pad, After: pad})
	return b.Add(x, conv(b, s.Index(3), snake(b, s.Index(2), y), onnx.WindowND{}))
}

// snake is x + sin²(a·x)/b, with a and b of each channel. Upstream: SnakeBeta.
func snake(b *nn.Builder, s *weights.Scope, x *onnx.Value) *onnx.Value {
	channels := x.Dim(1).N
	factor := func(name string) *onnx.Value { return b.Table(s.Weight(name, 1, channels, 1)) }
	y := b.Sin(b.Mul(x, factor(ExpAlpha)))
	return b.Add(x, b.Mul(factor(InverseBeta), b.Mul(y, y)))
}

// DecodeMemory implements family.Autoencoder: of the longest piece.
func (v *vae) DecodeMemory(latent []int) int64 {
	n := min(latent[len(latent)-1], piece+2*v.context())
	return v.activations.Of(v.graph("vae decoder", v.writeDecoder), map[string]int{"L": n})
}

// EncodeMemory implements family.Autoencoder; see DecodeMemory.
func (v *vae) EncodeMemory(pixels []int) int64 {
	n := min(pixels[len(pixels)-1]/v.hop, piece+2*v.context())
	return v.activations.Of(v.graph("vae encoder", v.writeEncoder), map[string]int{"L": max(n, 1)})
}
