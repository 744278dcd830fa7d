package kandinsky

import (
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

const epsilon = 1e-5

// writer writes one graph.
type writer struct {
	*nn.Builder
	config
}

// write writes the network. Inputs: tokens x [B,S,4·C], timesteps [B], context [B,T,C'], pooled [B,C”], cos and sin
// [1,S,D/2], and those of the text [1,T,D/2]. Output: out [B,S,4·C]. Upstream: kandinsky5/model.py Kandinsky5.
func (w *writer) write(s *weights.Scope) {
	rows, tokens, texts := onnx.Sym("B"), onnx.Sym("S"), onnx.Sym("T")
	half := onnx.D(w.head() / 2)
	rope := dit.RotaryInputs(w.Builder, tokens, w.head())
	line := &nn.Rotary{
		Cos: dit.Input(w.Builder, "text cos", onnx.D(1), texts, half), Sin: dit.Input(w.Builder, "text sin", onnx.D(1), texts, half), Interleaved: true,
	}
	embed := func(s *weights.Scope, x *onnx.Value, out int) *onnx.Value {
		return w.LayerNorm(s.At("norm"), w.Linear(s.At("in_layer"), x, out), epsilon)
	}
	text := embed(s.At("text_embeddings"), dit.Input(w.Builder, "context", rows, texts, onnx.D(w.text)), w.hidden)
	waves := w.TimestepEmbedding(w.Input("timesteps", dtype.F32, rows), w.hidden)
	time := dit.MLP(w.Builder, s.At("time_embeddings"), waves, w.time, w.time, "in_layer", "out_layer")
	time = w.SiLU(w.Add(time, embed(s.At("pooled_text_embeddings"), dit.Input(w.Builder, "pooled", rows, onnx.D(w.pooled)), w.time)))
	for i := range w.textBlocks {
		b := s.At("text_transformer_blocks").Index(i)
		m := w.mods(b.At("text_modulation"), time, 2)
		text = w.layer(text, m[0], func(y *onnx.Value) *onnx.Value { return w.attention(b.At("self_attention"), y, y, line) })
		text = w.layer(text, m[1], func(y *onnx.Value) *onnx.Value { return w.feedForward(b.At("feed_forward"), y) })
	}
	x := w.Linear(s.At("visual_embeddings.in_layer"), dit.Input(w.Builder, "x", rows, tokens, onnx.D(w.channels*side*side)), w.hidden)
	for i := range w.visualBlocks {
		b := s.At("visual_transformer_blocks").Index(i)
		m := w.mods(b.At("visual_modulation"), time, 3)
		x = w.layer(x, m[0], func(y *onnx.Value) *onnx.Value { return w.attention(b.At("self_attention"), y, y, rope) })
		x = w.layer(x, m[1], func(y *onnx.Value) *onnx.Value { return w.attention(b.At("cross_attention"), y, text, nil) })
		x = w.layer(x, m[2], func(y *onnx.Value) *onnx.Value { return w.feedForward(b.At("feed_forward"), y) })
	}
	last := w.Chunks(w.Linear(s.At("out_layer.modulation.out_layer"), time, 2*w.hidden), 2)
	x = w.Modulate(x, last[0], last[1], epsilon)
	dit.Output(w.Builder, "out", w.Linear(s.At("out_layer.out_layer"), x, w.out*side*side))
}

// mods are the modulations of n layers by the time's embedding, which is after SiLU.
func (w *writer) mods(s *weights.Scope, time *onnx.Value, n int) []dit.Mod {
	return dit.Mods(w.Builder, w.Linear(s.At("out_layer"), time, 3*n*w.hidden), n)
}

// layer is x with what f makes of it, modulated.
func (w *writer) layer(x *onnx.Value, m dit.Mod, f func(y *onnx.Value) *onnx.Value) *onnx.Value {
	return w.Gated(x, f(w.Modulate(x, m.Shift, m.Scale, epsilon)), m.Gate)
}

// attention lets tokens x attend to those of y.
func (w *writer) attention(s *weights.Scope, x, y *onnx.Value, rope *nn.Rotary) *onnx.Value {
	a := onnx.Attention{Heads: w.heads, Scale: float32(1 / math.Sqrt(float64(w.head())))}
	q := w.HeadRMSNorm(s.At("query_norm"), w.Linear(s.At("to_query"), x, w.hidden), w.heads, dit.F32Epsilon)
	k := w.HeadRMSNorm(s.At("key_norm"), w.Linear(s.At("to_key"), y, w.hidden), w.heads, dit.F32Epsilon)
	v := w.Linear(s.At("to_value"), y, w.hidden)
	return w.Linear(s.At("out_layer"), w.JointAttention(a, rope, nn.Stream{Q: q, K: k, V: v})[0], w.hidden)
}

func (w *writer) feedForward(s *weights.Scope, x *onnx.Value) *onnx.Value {
	return w.Linear(s.At("out_layer"), w.Gelu(w.Linear(s.At("in_layer"), x, w.inner), false), w.hidden)
}
