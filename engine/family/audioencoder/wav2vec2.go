package audioencoder

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// wav2vec2 registers Wav2Vec2, base and large.
type wav2vec2 struct{}

// Name implements family.Family.
func (wav2vec2) Name() string { return "Wav2Vec2" }

// Rank implements family.Family.
func (wav2vec2) Rank() int { return 10 }

// kernels and strides are those of the convolutions over the waveform; receptive is the number of samples that the first
// token needs.
var (
	kernels = []int{10, 3, 3, 3, 3, 2, 2}
	strides = []int{5, 2, 2, 2, 2, 2, 2}
)

const (
	receptive = 400
	// positionGroups and positionKernel are the groups and the kernel of the convolution for positions.
	positionGroups, positionKernel = 16, 128

	inAudio     = "audio"
	keyNorm     = "encoder.layer_norm.bias"
	keyPosition = "encoder.pos_conv_embed.conv.weight"
	keyConv     = "feature_extractor.conv_layers.0.conv.weight"
	keyLayered  = "feature_extractor.conv_layers.1.layer_norm.weight"
)

// The widths of the published models.
const widthBase, widthLarge = 768, 1024

// wav2vec2Net is an encoder.
type wav2vec2Net struct {
	src                         weights.Source
	width, layers, hidden, conv int
	// large has a norm after each convolution, norms before attention and feed-forward layers, and reads normalised audio.
	large bool

	activations family.Activations
}

// Read implements family.Audio.
func (wav2vec2) Read(src weights.Source) (family.AudioEncoder, error) {
	if slices.ContainsFunc(src.Names(), func(n string) bool { return strings.HasPrefix(n, "wav2vec2.") }) {
		src = weights.Sub(src, "wav2vec2.")
	}
	src = weights.WeightNorm(src)
	s := weights.NewScope(src)
	if !s.Has(keyNorm) || !s.Has(keyConv) {
		return nil, nil
	}
	n := &wav2vec2Net{
		src: src, width: rows(s, keyNorm, 0), layers: s.Count("encoder.layers"), conv: rows(s, keyConv, 0), large: s.Has(keyLayered),
		hidden: rows(s, "encoder.layers.0.feed_forward.intermediate_dense.weight", 0),
	}
	if n.width == 0 || n.width%headWidth != 0 || n.hidden == 0 || n.conv == 0 || n.width == widthBase && n.large || n.width == widthLarge && !n.large {
		return nil, fmt.Errorf("reading the encoder's shape: %s is %v, %s %v, with norms behind all convolutions: %v; wanted Wav2Vec2 base (768 wide, without) or large (1024, with)",
			keyNorm, s.Shape(keyNorm), keyConv, s.Shape(keyConv), n.large)
	}
	return n, nil
}

// Rate implements family.AudioEncoder.
func (*wav2vec2Net) Rate() int { return sampleRate }

// Weights implements family.AudioEncoder.
func (n *wav2vec2Net) Weights() weights.Source { return n.src }

// Encode implements family.AudioEncoder.
func (n *wav2vec2Net) Encode(ctx context.Context, run family.Runner, waveform *tensor.Tensor) (family.AudioEncoding, error) {
	x, err := mono(waveform, receptive)
	if err != nil {
		return family.AudioEncoding{}, err
	}
	if n.large {
		normalise(x.Data)
	}
	if err := run.Check("encoding the audio", n.activations.Of(n.graph(), map[string]int{"B": x.Dim(0), "T": x.Dim(1)})); err != nil {
		return family.AudioEncoding{}, err
	}
	res, err := run.Run(ctx, n.graph(), []family.Value{family.Floats(inAudio, x)}, outputs(n.layers)...)
	return encoding(res, waveform.Dim(2)), err
}

// normalise converts samples, those of all waveforms of a batch together, to mean zero and variance one.
func normalise(x []float32) {
	const least = 1e-7
	mean, variance := 0.0, 0.0
	for _, v := range x {
		mean += float64(v)
	}
	mean /= float64(len(x))
	for _, v := range x {
		variance += (float64(v) - mean) * (float64(v) - mean)
	}
	by := 1 / math.Sqrt(variance/float64(max(len(x)-1, 1))+least)
	for i, v := range x {
		x[i] = float32((float64(v) - mean) * by)
	}
}

func (n *wav2vec2Net) graph() family.Graph {
	return family.Graph{Part: "audio_encoder", Streamed: true, Build: func(spec family.Spec) (*onnx.Graph, error) {
		return spec.Build("wav2vec2", n.src, n.write)
	}}
}

// write writes the graph (upstream: wav2vec2.py Wav2Vec2Model).
func (n *wav2vec2Net) write(b *nn.Builder, s *weights.Scope) {
	w := writer{b, n.width}
	audio := w.Input(inAudio, dtype.F32, onnx.Sym("B"), onnx.Sym("T"))
	x := n.features(w, s.At("feature_extractor", "conv_layers"), w.Unsqueeze(w.Cast(audio, w.Target.Compute), 1))
	p := s.At("feature_projection")
	x = w.Linear(p.At("projection"), w.LayerNorm(p.At("layer_norm"), w.Transpose(x, 0, 2, 1), normEps), n.width)
	e := s.At("encoder")
	window := onnx.WindowND{Before: []int{positionKernel / 2}, After: []int{positionKernel/2 - 1}}
	places := w.Conv1d(e.At("pos_conv_embed", "conv"), w.Transpose(x, 0, 2, 1), n.width, positionKernel, positionGroups, window)
	x = w.Add(x, w.Transpose(w.Gelu(places, false), 0, 2, 1))
	if !n.large {
		x = w.LayerNorm(e.At("layer_norm"), x, normEps)
	}
	for i := range n.layers {
		w.output(outLayer(i), x)
		x = n.layer(w, e.At("layers").Index(i), x)
	}
	if n.large {
		x = w.LayerNorm(e.At("layer_norm"), x, normEps)
	}
	w.output(outLast, x)
}

// features are the convolutions over the waveform x [B,1,T]: [B,C,tokens].
func (n *wav2vec2Net) features(w writer, s *weights.Scope, x *onnx.Value) *onnx.Value {
	for i, kernel := range kernels {
		l := s.Index(i)
		x = w.Conv1d(l.At("conv"), x, n.conv, kernel, 1, onnx.WindowND{Stride: strides[i : i+1]})
		switch {
		case n.large:
			x = w.Transpose(w.LayerNorm(l.At("layer_norm"), w.Transpose(x, 0, 2, 1), normEps), 0, 2, 1)
		case i == 0:
			x = w.GroupNorm(l.At("layer_norm"), x, n.conv, normEps)
		}
		x = w.Gelu(x, false)
	}
	return x
}

// layer is one of the transformer's layers.
func (n *wav2vec2Net) layer(w writer, s *weights.Scope, x *onnx.Value) *onnx.Value {
	f, before, after := s.At("feed_forward"), s.At("layer_norm"), s.At("final_layer_norm")
	up, down := f.At("intermediate_dense"), f.At("output_dense")
	if n.large {
		x = w.Add(x, w.attention(s.At("attention"), w.LayerNorm(before, x, normEps)))
		return w.Add(x, w.feed(up, down, w.LayerNorm(after, x, normEps), n.hidden))
	}
	x = w.LayerNorm(before, w.Add(x, w.attention(s.At("attention"), x)), normEps)
	return w.LayerNorm(after, w.Add(x, w.feed(up, down, x, n.hidden)), normEps)
}
