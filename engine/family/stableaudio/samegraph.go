package stableaudio

import (
	"fmt"
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// writeDecoder writes the decoder: input z [1,C,L], output out [1,512,16·L], and the inputs of resample.
func (v *same) writeDecoder(b *nn.Builder, s *weights.Scope) {
	latents := onnx.Sym("L").Times(onnx.D(v.multiple()))
	z := dit.Input(b, "z", onnx.D(1), onnx.D(v.channels), latents)
	x := b.Linear(s.At("decoder.layers.1"), b.Transpose(z, 0, 2, 1), v.width)
	block := s.At("decoder.layers.3")
	x = v.resample(b, block, x, latents, samePatches, true)
	x = b.Transpose(x, 0, 2, 1)
	kernel := max(dim(block, "mapping.weight", 2), 1)
	half := []int{kernel / 2}
	dit.Output(b, "out", b.Conv1d(block.At("mapping"), x, stereo*samePatch, kernel, 1, onnx.WindowND{Before: half, After: half}))
}

// writeEncoder writes the encoder: input audio [1,512,16·L], output out [1,C,L], and the inputs of resample.
func (v *same) writeEncoder(b *nn.Builder, s *weights.Scope) {
	latents := onnx.Sym("L").Times(onnx.D(v.multiple()))
	audio := dit.Input(b, "audio", onnx.D(1), onnx.D(stereo*samePatch), latents.Times(onnx.D(samePatches)))
	block := s.At("encoder.layers.0")
	x := b.Transpose(b.Conv1d(block.At("mapping"), audio, v.width, 1, 1, onnx.WindowND{}), 0, 2, 1)
	x = v.resample(b, block, x, latents, 1, false)
	dit.Output(b, "out", b.Transpose(b.Linear(s.At("encoder.layers.2"), x, v.channels), 0, 2, 1))
}

// resample adds the given number of learned tokens after those of each latent, runs the layers, and returns the added ones. Its inputs are cos and
// sin [1,T,16], and window [T,T] of ones for tokens that do not attend to each other in windowed attention. Upstream: TransformerResamplingBlock.
func (v *same) resample(b *nn.Builder, s *weights.Scope, x *onnx.Value, latents onnx.Dim, added int, decoder bool) *onnx.Value {
	one, width, of := onnx.D(1), onnx.D(v.width), onnx.D(sameGroup-added)
	learned := b.Expand(b.Table(s.Weight("new_tokens", 1, 1, v.width)), latents, onnx.D(added), width)
	x = b.Concat(1, b.Reshape(x, latents, of, width), learned)
	var t onnx.Dim
	w := &sameWriter{Builder: b, same: v}
	layer := func(i int) func(x *onnx.Value) *onnx.Value {
		return func(x *onnx.Value) *onnx.Value {
			return w.layer(s.At("transformers").Index(i), x, decoder && v.deep() && v.layers-i < wavyLayers)
		}
	}
	if v.deep() {
		t = latents.Times(onnx.D(sameGroup))
		w.rope = sameRope(b, t)
		apart := b.Mul(b.Input("window", dtype.F32, t, t), b.Scalar(dtype.F32, -3e4))
		w.bias = b.Cast(b.Unsqueeze(apart, 0, 1), b.Target.Compute)
		x = b.Reshape(x, one, t, width)
		for i := range v.layers {
			x = layer(i)(x)
		}
	} else {
		// Two latents attend to each other; in the second half of the layers the pairs are shifted by one, and the first and the last latent attend to
		// copies of themselves.
		pair := onnx.D(sameGroup * v.multiple())
		pairs := onnx.Sym("L")
		w.rope = sameRope(b, pair)
		x = b.Reshape(x, pairs, pair, width)
		for i := range v.layers / 2 {
			x = layer(i)(x)
		}
		all := pairs.Times(pair)
		x = b.Reshape(x, one, all, width)
		group := onnx.D(sameGroup)
		x = b.Concat(1, b.SliceDims(x, 1, onnx.D(0), group), x, b.SliceDims(x, 1, all.Minus(group), all))
		x = b.Reshape(x, pairs.Plus(one), pair, width)
		for i := v.layers / 2; i < v.layers; i++ {
			x = layer(i)(x)
		}
		x = b.SliceDims(b.Reshape(x, one, all.Plus(pair), width), 1, group, all.Plus(group))
	}
	x = b.Reshape(x, latents, onnx.D(sameGroup), width)
	return b.Reshape(b.Slice(x, 1, sameGroup-added, sameGroup), one, latents.Times(onnx.D(added)), width)
}

// sameRope declares the angles of tokens.
func sameRope(b *nn.Builder, tokens onnx.Dim) *nn.Rotary {
	rope := dit.RotaryInputs(b, tokens, sameHead/2)
	rope.Interleaved = false
	return rope
}

// sameWriter writes the layers of one half.
type sameWriter struct {
	*nn.Builder
	*same
	rope *nn.Rotary
	bias *onnx.Value
}

// tanh is a norm by the hyperbolic tangent. Upstream: DynamicTanh.
func (w *sameWriter) tanh(s *weights.Scope, x *onnx.Value) *onnx.Value {
	n := x.Dim(-1).N
	steep := w.Table(s.Weight("alpha", 1))
	return w.Add(w.Mul(w.Table(s.Weight("gamma", n)), w.Tanh(w.Mul(x, steep))), w.Table(s.Weight("beta", n)))
}

// layer is attention that is the difference of two, and a gated feed-forward layer.
func (w *sameWriter) layer(s *weights.Scope, x *onnx.Value, wavy bool) *onnx.Value {
	heads := w.width / sameHead
	self, y := s.At("self_attn"), w.tanh(s.At("pre_norm"), x)
	const parts = 5
	rows := func(i int) *onnx.Value { return w.LinearRows(self.At("to_qkv"), y, parts*w.width, i*w.width, w.width) }
	turned := func(norm string, i int) *onnx.Value {
		apart := w.Reshape(rows(i), x.Dim(0), x.Dim(1), onnx.D(heads), onnx.D(sameHead))
		halves := w.Split(w.tanh(self.At(norm), apart), -1, sameHead/2, sameHead/2)
		half := w.Rotate(w.Reshape(halves[0], x.Dim(0), x.Dim(1), onnx.D(w.width/2)), w.rope, heads)
		half = w.Reshape(half, x.Dim(0), x.Dim(1), onnx.D(heads), onnx.D(sameHead/2))
		return w.Reshape(w.Concat(3, half, halves[1]), x.Shape...)
	}
	a := onnx.Attention{Heads: heads, Scale: float32(1 / math.Sqrt(sameHead)), Bias: w.bias}
	value := rows(2)
	out := w.Sub(w.Attend(turned("q_norm", 0), turned("k_norm", 1), value, a), w.Attend(turned("q_norm", 3), turned("k_norm", 4), value, a))
	x = w.Add(x, w.Linear(self.At("to_out"), out, w.width))

	ff := s.At("ff.ff")
	inner := dim(ff, "2.weight", 1)
	if inner == 0 {
		w.Fail("FeedForward", "%s has no weight of two axes", fmt.Sprint(ff.Prefix(), "2.weight"))
	}
	value, gate := w.Halves(w.Linear(ff.At("0.proj"), w.tanh(s.At("ff_norm"), x), 2*inner))
	if wavy {
		gate = w.Sin(w.Mul(gate, w.Const(math.Pi)))
	} else {
		gate = w.SiLU(gate)
	}
	return w.Add(x, w.Linear(ff.At("2"), w.Mul(value, gate), w.width))
}
