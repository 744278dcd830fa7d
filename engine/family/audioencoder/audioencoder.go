// Package audioencoder contains the families of audio encoders: Whisper large v3 and Wav2Vec2, which encode speech for talking-video
// models.
package audioencoder

import (
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
	family.Register(wav2vec2{})
	family.Register(whisper{})
}

// sampleRate is the sample rate of their inputs, in Hz; headWidth is the width of their attention heads.
const (
	sampleRate = 16000
	headWidth  = 64
	normEps    = 1e-5
)

// outLast is the output of the last hidden states.
const outLast = "last"

// outLayer names the output of what a layer reads.
func outLayer(i int) string { return fmt.Sprintf("layer%d", i) }

// outputs names the outputs of an encoder with the given number of layers.
func outputs(layers int) []string {
	var out []string
	for i := range layers {
		out = append(out, outLayer(i))
	}
	return append(out, outLast)
}

// encoding gathers the outputs of a run.
func encoding(res map[string]*tensor.Tensor, samples int) family.AudioEncoding {
	out := family.AudioEncoding{Last: res[outLast], Samples: samples, Rate: sampleRate}
	for _, name := range outputs(len(res) - 1) {
		out.Layers = append(out.Layers, res[name])
	}
	return out
}

// mono is the mean over the channels of waveforms [B,C,T], [B,T].
func mono(x *tensor.Tensor, least int) (*tensor.Tensor, error) {
	if len(x.Shape) != 3 || x.Len() == 0 {
		return nil, fmt.Errorf("reading audio of shape %v: wanted batch, channels and samples", x.Shape)
	}
	if x.Dim(2) < least {
		return nil, fmt.Errorf("reading audio of %d samples at %d Hz: the encoder wants at least %d", x.Dim(2), sampleRate, least)
	}
	channels, n := x.Dim(1), x.Dim(2)
	out := tensor.New(x.Dim(0), n)
	for b := range x.Dim(0) {
		row, all := out.Index(b).Data, x.Index(b).Data
		for i, v := range all {
			row[i%n] += v
		}
		for i := range row {
			row[i] /= float32(channels)
			if v := row[i]; v-v != 0 {
				return nil, errors.New("reading audio: it holds values that are no finite numbers")
			}
		}
	}
	return out, nil
}

// writer writes the graph of an encoder.
type writer struct {
	*nn.Builder
	width int
}

func (w writer) output(name string, v *onnx.Value) { w.Output(name, w.Cast(v, dtype.F32)) }

// attention is self-attention whose output projection is called out.
func (w writer) attention(s *weights.Scope, x *onnx.Value) *onnx.Value {
	q, k, v := w.Linear(s.At("q_proj"), x, w.width), w.Linear(s.At("k_proj"), x, w.width), w.Linear(s.At("v_proj"), x, w.width)
	return w.Linear(s.At("out_proj"), w.Attention(q, k, v, nil, w.width/headWidth), w.width)
}

// feed is the two linear layers around a GELU.
func (w writer) feed(up, down *weights.Scope, x *onnx.Value, hidden int) *onnx.Value {
	return w.Linear(down, w.Gelu(w.Linear(up, x, hidden), false), w.width)
}

// rows returns an axis of a tensor's shape, 0 for a shape without.
func rows(s *weights.Scope, name string, axis int) int {
	if shape := s.Shape(name); axis < len(shape) {
		return shape[axis]
	}
	return 0
}
