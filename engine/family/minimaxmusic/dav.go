package minimaxmusic

import (
	"context"
	"errors"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/stableaudio"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(davKind{}) }

// davKind registers the VAE, which only decodes.
type davKind struct{}

// Name implements family.Family.
func (davKind) Name() string { return "MiniMax Music 3 VAE" }

// Rank implements family.Family.
func (davKind) Rank() int { return 213 }

const (
	stereo = 2
	rate   = 44100
	// piece is the number of latent values that are decoded at once.
	piece = 256
)

// dav is a VAE that was read from a file. It decodes each half of a latent's channels to one channel of audio.
type dav struct {
	src     weights.Source
	strides []int
	width   int

	activations family.Activations
}

// Read implements family.VAE. Upstream: sd.py VAE.
func (davKind) Read(src weights.Source) (family.Autoencoder, error) {
	src = stableaudio.Reciprocals(weights.WeightNorm(src))
	s := weights.NewScope(src)
	if !s.Has("dec_in_proj.weight") || !s.Has("decoder.model.0.weight") || !s.Has("decoder.model.1.block.0.alpha") {
		return nil, nil
	}
	in := s.Shape("dec_in_proj.weight")
	v := &dav{src: src}
	up := 1
	for i := 1; ; i++ {
		shape := s.Shape(fmt.Sprintf("decoder.model.%d.block.1.weight", i))
		if len(shape) != 3 {
			break
		}
		v.strides = append(v.strides, shape[2]/2)
		up *= shape[2] / 2
	}
	if len(in) != 3 || in[1] != channels/stereo || up != hop {
		return nil, fmt.Errorf("reading the shape of the VAE: dec_in_proj.weight is %v and %d samples are made of a value, wanted %d channels and %d samples", in, up, channels/stereo, hop)
	}
	v.width = in[0]
	return v, nil
}

// Info implements family.Autoencoder.
func (*dav) Info() family.VAEInfo {
	return family.VAEInfo{Channels: channels, Downscale: hop, CanDecode: true, Untiled: true, Audio: &family.AudioInfo{Channels: stereo, Rate: rate, Hop: hop}}
}

// Weights implements family.Autoencoder.
func (v *dav) Weights() []weights.Source { return []weights.Source{v.src} }

// Encode implements family.Autoencoder.
func (*dav) Encode(context.Context, family.Runner, *tensor.Tensor) (*tensor.Tensor, error) {
	return nil, errors.New("encoding audio: the VAE of MiniMax Music 3 only decodes")
}

// reach is the number of latent values on each side that a value's audio depends on.
func (v *dav) reach() int {
	const unit, resize, edge = 39, 2, 8
	n, size := edge, 1
	for _, s := range v.strides {
		size *= s
		n += (unit+size-1)/size + resize
	}
	return n
}

// Decode implements family.Autoencoder: a latent [1,C,L] becomes audio [1,2,L·512], in pieces with what they depend on.
func (v *dav) Decode(ctx context.Context, run family.Runner, z *tensor.Tensor) (*tensor.Tensor, error) {
	if len(z.Shape) != 3 || z.Dim(0) != 1 || z.Dim(1) != channels || z.Dim(2) < 1 {
		return nil, fmt.Errorf("decoding a latent of shape %v: the VAE of MiniMax Music 3 reads audio latents [1,%d,length]", z.Shape, channels)
	}
	if err := run.Check("decoding the audio", v.DecodeMemory(z.Shape)); err != nil {
		return nil, err
	}
	n, around := z.Dim(2), v.reach()
	out := tensor.New(1, stereo, n*hop)
	for from := 0; from < n; from += piece {
		to := min(from+piece, n)
		left, right := max(from-around, 0), min(to+around, n)
		part := part(z, left, right)
		part.Shape = []int{stereo, channels / stereo, right - left}
		y, err := run.Run(ctx, v.graph(), []family.Value{family.Floats("z", part)}, "out")
		if err != nil {
			return nil, err
		}
		for c := range stereo {
			copy(out.Data[(c*n+from)*hop:(c*n+to)*hop], y["out"].Data[(c*(right-left)+from-left)*hop:])
		}
		family.Advance(ctx, to, n)
	}
	return out, nil
}

// DecodeMemory implements family.Autoencoder: of the longest piece.
func (v *dav) DecodeMemory(latent []int) int64 {
	return v.activations.Of(v.graph(), map[string]int{"L": max(min(latent[len(latent)-1], piece+2*v.reach()), 1)})
}

// EncodeMemory implements family.Autoencoder.
func (*dav) EncodeMemory([]int) int64 { return 0 }

func (v *dav) graph() family.Graph {
	return family.Graph{Part: "vae decoder", Build: func(s family.Spec) (*onnx.Graph, error) { return s.Build("minimax music vae", v.src, v.write) }}
}

// write writes the decoder: input z [2,C/2,L], output out [2,1,L·512]. Upstream: MiniMaxMusic3DAV.
func (v *dav) write(b *nn.Builder, s *weights.Scope) {
	z := dit.Input(b, "z", onnx.D(stereo), onnx.D(channels/stereo), onnx.Sym("L"))
	m := s.At("decoder.model")
	x := conv(b, m.Index(0), b.Conv1d(s.At("dec_in_proj"), z, v.width, 1, 1, onnx.WindowND{}), 1)
	for i, stride := range v.strides {
		block := m.Index(i + 1).At("block")
		up, pad := block.Index(1), []int{(stride + 1) / 2}
		out := 1
		if shape := up.Shape("weight"); len(shape) == 3 {
			out = shape[1]
		}
		x = b.ConvTranspose(up, snake(b, block.Index(0), x), out, []int{2 * stride}, 1, onnx.WindowND{Stride: []int{stride}, Before: pad, After: pad})
		for k, dilation := range []int{1, 3, 9} {
			unit := block.Index(2 + k).At("block")
			y := conv(b, unit.Index(1), snake(b, unit.Index(0), x), dilation)
			x = b.Add(x, conv(b, unit.Index(3), snake(b, unit.Index(2), y), 1))
		}
	}
	last := len(v.strides) + 1
	x = conv(b, m.Index(last+1), snake(b, m.Index(last), x), 1)
	dit.Output(b, "out", b.Tanh(x))
}

// conv is a convolution with an odd kernel that keeps the length.
func conv(b *nn.Builder, s *weights.Scope, x *onnx.Value, dilation int) *onnx.Value {
	out, kernel := 1, 1
	if shape := s.Shape("weight"); len(shape) == 3 {
		out, kernel = shape[0], shape[2]
	}
	pad := []int{(kernel - 1) / 2 * dilation}
	return b.Conv1d(s, x, out, kernel, 1, onnx.WindowND{Dilation: []int{dilation}, Before: pad, After: pad})
}

// snake is x + sin²(alpha·x)/alpha. Upstream: Snake1d.
func snake(b *nn.Builder, s *weights.Scope, x *onnx.Value) *onnx.Value {
	factor := func(name string) *onnx.Value { return b.Table(s.Weight(name, 1, x.Dim(1).N, 1)) }
	y := b.Sin(b.Mul(x, factor("alpha")))
	return b.Add(x, b.Mul(factor(stableaudio.Reciprocal), b.Mul(y, y)))
}
