package audioencoder

import (
	"context"
	"fmt"
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/internal/audio/spectrum"
)

// whisper registers the encoder of Whisper large v3.
type whisper struct{}

// Name implements family.Family.
func (whisper) Name() string { return "Whisper" }

// Rank implements family.Family.
func (whisper) Rank() int { return 20 }

// bands are the bands of Whisper's spectrogram of 30 seconds; a file of other bands is of an older version.
var bands = spectrum.Mel{Rate: sampleRate, High: sampleRate / 2, Window: 400, Hop: 160, Bands: 128}

const (
	heard      = 30 * sampleRate
	melFrames  = heard / 160
	inMel      = "mel"
	keyTable   = "encoder.embed_positions.weight"
	keyFirst   = "encoder.conv1.weight"
	keyWhisper = "model." + keyTable
)

// whisperNet is an encoder of Whisper.
type whisperNet struct {
	src                          weights.Source
	width, layers, hidden, table int

	activations family.Activations
}

// Read implements family.Audio.
func (whisper) Read(src weights.Source) (family.AudioEncoder, error) {
	whole := weights.NewScope(src)
	if !whole.Has(keyWhisper) {
		return nil, nil
	}
	src = weights.Sub(src, "model.")
	s := weights.NewScope(src)
	n := &whisperNet{src: src, width: rows(s, keyTable, 1), table: rows(s, keyTable, 0), layers: s.Count("encoder.layers"), hidden: rows(s, "encoder.layers.0.fc1.weight", 0)}
	if n.width == 0 || n.width%headWidth != 0 || n.hidden == 0 || n.table != melFrames/2 || rows(s, keyFirst, 1) != bands.Bands {
		return nil, fmt.Errorf("reading the encoder's shape: %s is %v, %s %v; wanted %d positions and %d mel bands, as Whisper large v3 has them",
			keyTable, s.Shape(keyTable), keyFirst, s.Shape(keyFirst), melFrames/2, bands.Bands)
	}
	return n, nil
}

// Rate implements family.AudioEncoder.
func (*whisperNet) Rate() int { return sampleRate }

// Weights implements family.AudioEncoder.
func (n *whisperNet) Weights() weights.Source { return n.src }

// Encode implements family.AudioEncoder. It reads the first 30 seconds and pads shorter audio with silence: there are always 1,500
// tokens.
func (n *whisperNet) Encode(ctx context.Context, run family.Runner, waveform *tensor.Tensor) (family.AudioEncoding, error) {
	x, err := mono(waveform, 1)
	if err != nil {
		return family.AudioEncoding{}, err
	}
	if err := run.Check("encoding the audio", n.activations.Of(n.graph(), map[string]int{"B": x.Dim(0)})); err != nil {
		return family.AudioEncoding{}, err
	}
	mel, err := logMel(ctx, x)
	if err != nil {
		return family.AudioEncoding{}, err
	}
	if dropped := x.Dim(1) - heard; dropped > 0 {
		run.Log().Warn("Whisper hears the first 30 seconds of the audio", "seconds", float64(x.Dim(1))/sampleRate)
	}
	res, err := run.Run(ctx, n.graph(), []family.Value{family.Floats(inMel, mel)}, outputs(n.layers)...)
	return encoding(res, waveform.Dim(2)), err
}

// logMel is the spectrogram of mono audio [B,T], [B,bands,frames]. Loudness is cut off 80 dB below that of the loudest of the batch.
// Upstream: whisper.py WhisperFeatureExtractor.
func logMel(ctx context.Context, x *tensor.Tensor) (*tensor.Tensor, error) {
	out, most := tensor.New(x.Dim(0), bands.Bands, melFrames), float32(math.Inf(-1))
	for b := range x.Dim(0) {
		samples, to := make([]float32, heard), out.Index(b).Data
		copy(samples, x.Index(b).Data)
		err := bands.Spectrogram(ctx, samples, 0, melFrames, func(i int, powers []float32) {
			for k, v := range powers {
				l := float32(math.Log10(max(float64(v), 1e-10)))
				to[k*melFrames+i], most = l, max(most, l)
			}
		})
		if err != nil {
			return nil, err
		}
	}
	for i, v := range out.Data {
		out.Data[i] = (max(v, most-8) + 4) / 4
	}
	return out, nil
}

func (n *whisperNet) graph() family.Graph {
	return family.Graph{Part: "audio_encoder", Streamed: true, Build: func(spec family.Spec) (*onnx.Graph, error) {
		return spec.Build("whisper", n.src, n.write)
	}}
}

// write writes the graph (upstream: whisper.py AudioEncoder).
func (n *whisperNet) write(b *nn.Builder, s *weights.Scope) {
	w, e := writer{b, n.width}, s.At("encoder")
	mel := w.Input(inMel, dtype.F32, onnx.Sym("B"), onnx.D(bands.Bands), onnx.D(melFrames))
	x := w.Gelu(w.Conv1d(e.At("conv1"), w.Cast(mel, w.Target.Compute), n.width, 3, 1, onnx.Same(3)), false)
	x = w.Gelu(w.Conv1d(e.At("conv2"), x, n.width, 3, 1, onnx.WindowND{Stride: []int{2}, Before: []int{1}, After: []int{1}}), false)
	x = w.Add(w.Transpose(x, 0, 2, 1), w.Table(e.Weight("embed_positions.weight", n.table, n.width)))
	for i := range n.layers {
		w.output(outLayer(i), x)
		l := e.At("layers").Index(i)
		x = w.Add(x, w.attention(l.At("self_attn"), w.LayerNorm(l.At("self_attn_layer_norm"), x, normEps)))
		x = w.Add(x, w.feed(l.At("fc1"), l.At("fc2"), w.LayerNorm(l.At("final_layer_norm"), x, normEps), n.hidden))
	}
	w.output(outLast, w.LayerNorm(e.At("layer_norm"), x, normEps))
}
