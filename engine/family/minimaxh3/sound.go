package minimaxh3

import (
	"context"
	"fmt"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/ltxaudio"
	"comfygo/engine/family/stableaudio"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(soundKind{}) }

// soundKind registers the VAE of audio.
type soundKind struct{}

// Name implements family.Family.
func (soundKind) Name() string { return "MiniMax H3 audio VAE" }

// Rank implements family.Family.
func (soundKind) Rank() int { return 212 }

const (
	// rate is the sample rate in Hz.
	rate = 32000
	// poolHeads is the number of attention heads of the encoder.
	poolHeads = 8
)

// soundVAE is a VAE of audio that was read from a file: an encoder of the kind of DAC and a decoder of the kind of BigVGAN. Both work on one channel.
type soundVAE struct {
	src weights.Source
	// strides are those of the encoder's blocks, hop is their product; width is that of the layers between the latent and both networks.
	strides         []int
	hop, width      int
	vocoder         ltxaudio.BigVGAN
	mean, deviation []float32

	activations family.Activations
}

var _ family.Autoencoder = (*soundVAE)(nil)

// Read implements family.VAE. Upstream: sd.py VAE.
func (soundKind) Read(src weights.Source) (family.Autoencoder, error) {
	s := weights.NewScope(src)
	if !s.Has("pre_block.attn.zero_k_bias") {
		return nil, nil
	}
	v := &soundVAE{hop: 1}
	for i := 1; s.Has(fmt.Sprintf("encoder.block.%d.block.4.weight", i)); i++ {
		shape := s.Shape(fmt.Sprintf("encoder.block.%d.block.4.weight", i))
		if len(shape) != 3 || shape[2] < 2 || shape[2]%2 != 0 {
			return nil, fmt.Errorf("reading the shape of the audio VAE: encoder.block.%d.block.4.weight is %v, wanted a kernel of even size", i, shape)
		}
		v.strides = append(v.strides, shape[2]/2)
		v.hop *= shape[2] / 2
	}
	in, pre := s.Shape("dec_in_proj.weight"), s.Shape("decoder.conv_pre.weight")
	if len(in) != 3 || len(pre) != 3 || len(v.strides) == 0 || in[0] < 1 || in[0]%(poolHeads*audioChannels) != 0 {
		return nil, fmt.Errorf("reading the shape of the audio VAE: %d blocks, dec_in_proj.weight is %v, decoder.conv_pre.weight %v: wanted values for %d heads of multiples of %d", len(v.strides), in, pre, poolHeads, audioChannels)
	}
	if in[1] != audioChannels {
		return nil, fmt.Errorf("it decodes audio latents of %d channels, the audio VAE of MiniMax H3 has %d", in[1], audioChannels)
	}
	v.width = in[0]
	v.vocoder = ltxaudio.BigVGAN{Width: pre[0], Kernels: []int{3, 7, 11}, Dilations: [][]int{{1, 3, 5}, {1, 3, 5}, {1, 3, 5}}}
	up := 1
	for i := 0; s.Has(fmt.Sprintf("decoder.ups.%d.0.weight", i)); i++ {
		shape := s.Shape(fmt.Sprintf("decoder.ups.%d.0.weight", i))
		// The kernels of the published file are 9 for a rate of 5 and 4 for one of 2.
		rates := map[int]int{9: 5, 4: 2}
		if len(shape) != 3 || rates[shape[2]] == 0 {
			return nil, fmt.Errorf("reading the shape of the audio VAE: decoder.ups.%d.0.weight is %v, wanted a kernel of 9 or 4", i, shape)
		}
		v.vocoder.Rates, v.vocoder.UpKernels = append(v.vocoder.Rates, rates[shape[2]]), append(v.vocoder.UpKernels, shape[2])
		up *= rates[shape[2]]
	}
	if up != v.hop || v.vocoder.Width>>len(v.vocoder.Rates) < 1 {
		return nil, fmt.Errorf("reading the shape of the audio VAE: the encoder makes a value of %d samples and the decoder %d samples of a value, with %d channels halved %d times", v.hop, up, v.vocoder.Width, len(v.vocoder.Rates))
	}
	v.src = stableaudio.Reciprocals(stableaudio.Factors(dit.Rename(src, generatorName)))
	var err error
	if v.mean, err = channelValues(src, "latents_mean", nil); err != nil {
		return nil, err
	}
	v.deviation, err = channelValues(src, "latents_std", nil)
	return v, err
}

// Info implements family.Autoencoder.
func (v *soundVAE) Info() family.VAEInfo {
	return family.VAEInfo{
		Channels: audioChannels, Downscale: v.hop, CanEncode: true, CanDecode: true, Untiled: true,
		Audio: &family.AudioInfo{Channels: stereo, Rate: rate, Hop: v.hop},
	}
}

// Weights implements family.Autoencoder.
func (v *soundVAE) Weights() []weights.Source { return []weights.Source{v.src} }

// Decode implements family.Autoencoder: a latent [1,C,2,T] becomes audio [1,2,T·hop].
func (v *soundVAE) Decode(ctx context.Context, run family.Runner, z *tensor.Tensor) (*tensor.Tensor, error) {
	if len(z.Shape) != 4 || z.Dim(0) != 1 || z.Dim(1) != audioChannels || z.Dim(2) != stereo || z.Dim(3) < 1 {
		return nil, fmt.Errorf("decoding a latent of shape %v: the audio VAE of MiniMax H3 reads [1,%d,%d,length]", z.Shape, audioChannels, stereo)
	}
	if err := run.Check("decoding the audio", v.DecodeMemory(z.Shape)); err != nil {
		return nil, err
	}
	n := z.Dim(3)
	out := tensor.New(1, stereo, n*v.hop)
	for k := range stereo {
		one := tensor.New(1, audioChannels, n)
		for c := range audioChannels {
			for i, value := range z.Data[(c*stereo+k)*n:][:n] {
				one.Data[c*n+i] = float32(value*v.deviation[c]) + v.mean[c]
			}
		}
		y, err := run.Run(ctx, v.decoder(), []family.Value{family.Floats("z", one)}, "out")
		if err != nil {
			return nil, err
		}
		copy(out.Data[k*n*v.hop:(k+1)*n*v.hop], y["out"].Data)
		family.Advance(ctx, k+1, stereo)
	}
	return out, nil
}

// Encode implements family.Autoencoder: audio [1,2,samples] becomes a latent [1,C,2,T]. Silence fills the last value.
func (v *soundVAE) Encode(ctx context.Context, run family.Runner, x *tensor.Tensor) (*tensor.Tensor, error) {
	if len(x.Shape) != 3 || x.Dim(0) != 1 || x.Dim(1) != stereo || x.Dim(2) < 1 {
		return nil, fmt.Errorf("encoding audio of shape %v: the audio VAE of MiniMax H3 reads [1,%d,samples]", x.Shape, stereo)
	}
	if err := run.Check("encoding the audio", v.EncodeMemory(x.Shape)); err != nil {
		return nil, err
	}
	n := (x.Dim(2) + v.hop - 1) / v.hop
	out := tensor.New(1, audioChannels, stereo, n)
	for k := range stereo {
		one := tensor.New(1, 1, n*v.hop)
		copy(one.Data, x.Data[k*x.Dim(2):(k+1)*x.Dim(2)])
		y, err := run.Run(ctx, v.encoder(), []family.Value{family.Floats("audio", one)}, "z")
		if err != nil {
			return nil, err
		}
		for c := range audioChannels {
			for i, value := range y["z"].Data[c*n : (c+1)*n] {
				out.Data[(c*stereo+k)*n+i] = (value - v.mean[c]) / v.deviation[c]
			}
		}
		family.Advance(ctx, k+1, stereo)
	}
	return out, nil
}

// DecodeMemory implements family.Autoencoder: of one channel.
func (v *soundVAE) DecodeMemory(latent []int) int64 {
	return v.activations.Of(v.decoder(), map[string]int{"L": max(latent[len(latent)-1], 1)})
}

// EncodeMemory implements family.Autoencoder; see DecodeMemory.
func (v *soundVAE) EncodeMemory(pixels []int) int64 {
	return v.activations.Of(v.encoder(), map[string]int{"L": max((pixels[len(pixels)-1]+v.hop-1)/v.hop, 1)})
}

func (v *soundVAE) decoder() family.Graph {
	return family.Graph{Part: "vae decoder", Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("minimax h3 audio decoder", v.src, v.writeDecoder)
	}}
}

func (v *soundVAE) encoder() family.Graph {
	return family.Graph{Part: "vae encoder", Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("minimax h3 audio encoder", v.src, v.writeEncoder)
	}}
}

// writeDecoder writes the decoder: input z [1,C,L], output out [1,1,L·hop].
func (v *soundVAE) writeDecoder(b *nn.Builder, s *weights.Scope) {
	z := dit.Input(b, "z", onnx.D(1), onnx.D(audioChannels), onnx.Sym("L"))
	x := b.Conv1d(s.At("dec_in_proj"), z, v.width, 1, 1, onnx.WindowND{})
	b.Output("out", b.Cast(v.vocoder.Write(b, s.At("decoder"), x), dtype.F32))
}

// writeEncoder writes the encoder: input audio [1,1,L·hop], output z [1,C,L], the mean.
func (v *soundVAE) writeEncoder(b *nn.Builder, s *weights.Scope) {
	w := soundWriter{b}
	n := onnx.Sym("L")
	x := dit.Input(b, "audio", onnx.D(1), onnx.D(1), n.Times(onnx.D(v.hop)))
	e := s.At("encoder", "block")
	x = w.conv(e.Index(0), x, 1)
	for i, stride := range v.strides {
		block := e.Index(i + 1).At("block")
		for k, dilation := range []int{1, 3, 9} {
			unit := block.Index(k).At("block")
			y := w.conv(unit.Index(1), w.snake(unit.Index(0), x), dilation)
			x = b.Add(x, w.conv(unit.Index(3), w.snake(unit.Index(2), y), 1))
		}
		pad := []int{(stride + 1) / 2}
		down := block.Index(4)
		x = b.Conv1d(down, w.snake(block.Index(3), x), outputs(down), 2*stride, 1, onnx.WindowND{Stride: []int{stride}, Before: pad, After: pad})
	}
	last := len(v.strides) + 1
	x = w.conv(e.Index(last+1), w.snake(e.Index(last), x), 1)
	x = b.Transpose(b.Declare(x, onnx.Shape{onnx.D(1), x.Dim(1), n}), 0, 2, 1)
	x = b.Transpose(w.project(s.At("pre_block"), x), 0, 2, 1)
	dit.Output(b, "z", b.Conv1d(s.At("mean_proj"), x, audioChannels, 1, 1, onnx.WindowND{}))
}

type soundWriter struct{ *nn.Builder }

// conv is a convolution with an odd kernel that keeps the length.
func (w soundWriter) conv(s *weights.Scope, x *onnx.Value, dilation int) *onnx.Value {
	out, kernel := 1, 1
	if shape := s.Shape("weight"); len(shape) == 3 {
		out, kernel = shape[0], shape[2]
	}
	pad := []int{(kernel - 1) / 2 * dilation}
	return w.Conv1d(s, x, out, kernel, 1, onnx.WindowND{Dilation: []int{dilation}, Before: pad, After: pad})
}

// snake is x + sin²(alpha·x)/alpha. Upstream: Snake1d.
func (w soundWriter) snake(s *weights.Scope, x *onnx.Value) *onnx.Value {
	factor := func(name string) *onnx.Value { return w.Table(s.Weight(name, 1, x.Dim(1).N, 1)) }
	y := w.Sin(w.Mul(x, factor("alpha")))
	return w.Add(x, w.Mul(factor(stableaudio.Reciprocal), w.Mul(y, y)))
}

// project converts x [1,T,width] to the channels of the latent [1,T,C]. Upstream: AttnProjection.
func (w soundWriter) project(s *weights.Scope, x *onnx.Value) *onnx.Value {
	const epsilon = 1e-5
	y := w.attend(s.At("attn"), w.LayerNorm(s.At("norm1"), x, epsilon))
	x = w.Add(w.Linear(s.At("proj"), w.LayerNorm(s.At("norm3"), x, epsilon), audioChannels), y)
	m := s.At("mlp")
	z := w.LayerNorm(m.At("norm"), w.LayerNorm(s.At("norm2"), x, epsilon), epsilon)
	inner := outputs(m.At("w0"))
	z = w.Mul(w.Gelu(w.Linear(m.At("w0"), z, inner), true), w.Linear(m.At("w1"), z, inner))
	return w.Add(x, w.Linear(m.At("w2"), z, audioChannels))
}

// attend is attention to earlier tokens, whose heads are averaged, and so are neighbouring values of the mean. Upstream: CausalAttention.
func (w soundWriter) attend(s *weights.Scope, x *onnx.Value) *onnx.Value {
	n := x.Dim(2).N
	part := func(i int, bias string) *onnx.Value {
		return w.Add(w.LinearRows(s.At("qkv"), x, 3*n, i*n, n), w.Table(s.Weight(bias, n)))
	}
	y := w.CausalAttention(part(0, "q_bias"), part(1, "zero_k_bias"), part(2, "v_bias"), poolHeads)
	y = w.ReduceMean(w.Reshape(y, x.Dim(0), x.Dim(1), onnx.D(poolHeads), onnx.D(n/poolHeads)), false, 2)
	y = w.ReduceMean(w.Reshape(y, x.Dim(0), x.Dim(1), onnx.D(audioChannels), onnx.D(n/poolHeads/audioChannels)), false, 3)
	return w.Linear(s.At("proj"), y, audioChannels)
}
