package lm

import (
	"fmt"
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// The outputs of the graph that generates: logits [vocabulary] of the token after the last one, keys and values of the
// processed tokens.
const (
	outLogits = "logits"
	outCache  = "cache"
)

// inPast is an input of past keys, of layers one after the other, or of past values after them all.
func inPast(i int) string { return fmt.Sprintf("past%d", i) }

// decoder is the graph of a network that generates.
func (e *Encoder) decoder(slides, deep bool) family.Graph {
	return family.Graph{
		Part: "clip " + e.Config.Key + " decoder", Variant: family.Digest(slides, deep), Steps: true, Streamed: true, Wide: true,
		Build: func(s family.Spec) (*onnx.Graph, error) {
			return s.Build("language model decoder", e.src, func(b *nn.Builder, s *weights.Scope) {
				(&decoderWriter{writer: writer{Builder: b, cfg: e.Config}}).write(s, e.head(), variant{slides: slides, deep: deep})
			})
		},
	}
}

// decoderWriter writes the graph that generates.
type decoderWriter struct {
	writer
	// kept are the keys of each layer's new tokens, and the values after them.
	kept []*onnx.Value
}

// write writes the network: inputs "embeds" [1,T,width] of new tokens, "hidden" [1,1,T,P+T] as the encoder's graph has it, angles
// [1,T,D/2], and "past…" [1,P,KVHeads*D]; outputs "logits" and "cache" [2*layers,T,KVHeads*D] (upstream: llama.py Llama2_ with
// past_key_values, and BaseGenerate.logits).
func (w *decoderWriter) write(s *weights.Scope, head string, v variant) {
	one, t, p := onnx.D(1), onnx.Sym("T"), onnx.Sym("P")
	h := w.Cast(w.Input(inEmbeds, dtype.F32, one, t, onnx.D(w.cfg.Width)), w.Target.Compute)
	w.inputsFor(one, t, p.Plus(t), v)
	w.kept = make([]*onnx.Value, 2*w.cfg.Layers)
	m := s.At("model")
	for i := range w.cfg.Layers {
		past := [2]*onnx.Value{}
		for k, at := range []int{i, w.cfg.Layers + i} {
			past[k] = w.Cast(w.Input(inPast(at), dtype.F32, one, p, onnx.D(w.cfg.kvWidth())), w.Target.Compute)
		}
		kind := w.cfg.sliding(i)
		h = w.around(m.At("layers").Index(i), h, func(s *weights.Scope, x *onnx.Value) *onnx.Value {
			return w.attendPast(s, x, kind, i, past)
		})
		h = w.addDeep(h, i, v.deep)
	}
	for i, v := range w.kept {
		w.kept[i] = w.Cast(v, dtype.F32)
	}
	w.Output(outCache, w.Concat(0, w.kept...))
	h = w.SliceDims(h, 1, t.Minus(one), t)
	if m.Has("norm.weight") {
		h = w.norm(m.At("norm"), h)
	}
	logits := w.Linear(headScope(s, head), h, w.cfg.Vocab)
	w.Output(outLogits, w.Cast(w.Reshape(logits, onnx.D(w.cfg.Vocab)), dtype.F32))
}

// attendPast is attend with the keys and values of earlier tokens.
func (w *decoderWriter) attendPast(s *weights.Scope, x *onnx.Value, kind, layer int, past [2]*onnx.Value) *onnx.Value {
	c := w.cfg
	q, k, v := w.project(s, x, kind)
	w.kept[layer], w.kept[c.Layers+layer] = k, v
	y := w.grouped(q, w.Concat(1, past[0], k), w.Concat(1, past[1], v), w.bias[kind])
	return w.Linear(s.At("o_proj"), y, c.Width)
}

// grouped is the attention of one row. The heads of queries that share keys stand one after the other as further queries, so that keys and
// values are not repeated.
func (w *decoderWriter) grouped(q, keys, values, bias *onnx.Value) *onnx.Value {
	c := w.cfg
	group, t := c.Heads/c.KVHeads, q.Dim(1)
	one, kv, g, d := onnx.D(1), onnx.D(c.KVHeads), onnx.D(group), onnx.D(c.HeadDim)
	if group > 1 {
		q = w.Reshape(w.Transpose(w.Reshape(q, one, t, kv, g, d), 0, 1, 3, 2, 4), one, t.Times(g), onnx.D(c.kvWidth()))
		all := bias.Dim(3)
		bias = w.Reshape(w.Expand(w.Unsqueeze(bias, 3), one, one, t, g, all), one, one, t.Times(g), all)
	}
	y := w.Attend(q, keys, values, onnx.Attention{Heads: c.KVHeads, Scale: float32(1 / math.Sqrt(float64(c.HeadDim))), Bias: bias})
	if group > 1 {
		y = w.Reshape(w.Transpose(w.Reshape(y, one, t, g, kv, d), 0, 1, 3, 2, 4), one, t, onnx.D(c.Heads*c.HeadDim))
	}
	return y
}
