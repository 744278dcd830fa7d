package ideogram4

import (
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// The epsilons of the norms.
const (
	epsilon     = 1e-5
	textEpsilon = 1e-6
	lastEpsilon = 1e-6
)

// writer writes one graph.
type writer struct {
	*nn.Builder
	config
	rope *nn.Rotary
	mask *onnx.Value
}

// write writes a graph of the network. Inputs: x [B,I,C], time [B,width], context [B,T,text], mask [B,T+I], cos and sin
// [1,T+I,D/2]. Output: out [B,I,C]. Upstream: ldm/ideogram4/model.py Ideogram4Transformer.
func write(b *nn.Builder, s *weights.Scope, c config, v variant) {
	rows, images, texts := onnx.Sym("B"), onnx.Sym("I"), onnx.Sym("T")
	w := &writer{Builder: b, config: c}
	x := b.Linear(s.At("input_proj"), dit.Input(b, "x", rows, images, onnx.D(c.channels)), c.width)
	kinds := s.Weight("embed_image_indicator.weight", 2, c.width)
	const textKind, imageKind = 0, 1
	x = b.Add(x, dit.TableRows(b, kinds, imageKind, 1))
	all := images
	if v.Text {
		all = texts.Plus(images)
		text := dit.Input(b, "context", rows, texts, onnx.D(c.text))
		text = b.Linear(s.At("llm_cond_proj"), b.RMSNorm(s.At("llm_cond_norm"), text, textEpsilon), c.width)
		x = b.Concat(1, b.Add(text, dit.TableRows(b, kinds, textKind, 1)), x)
	}
	w.rope = dit.RotaryInputs(b, all, c.head())
	w.rope.Interleaved = false
	if v.Masked {
		w.mask = b.Cast(b.Input("mask", dtype.F32, rows, all), dtype.I32)
	}
	t := dit.MLP(b, s.At("t_embedding"), dit.Input(b, "time", rows, onnx.D(c.width)), c.width, c.width, "mlp_in", "mlp_out")
	t = b.SiLU(b.Linear(s.At("adaln_proj"), t, c.mod))
	for i := range s.Count("layers") {
		x = w.block(s.At("layers").Index(i), x, t)
	}
	if v.Text {
		x = b.SliceDims(x, 1, texts, all)
	}
	last := s.At("final_layer")
	scale := b.Unsqueeze(b.Add(b.Linear(last.At("adaln_modulation"), b.SiLU(t), c.width), b.Const(1)), 1)
	dit.Output(b, "out", b.Neg(b.Linear(last.At("linear"), b.Graph.LayerNorm(x, scale, nil, lastEpsilon), c.channels)))
}

func (w *writer) block(s *weights.Scope, x, t *onnx.Value) *onnx.Value {
	m := w.Chunks(w.Linear(s.At("adaln_modulation"), t, 4*w.width), 4)
	y := w.attention(s.At("attention"), w.ModulateRMS(s.At("attention_norm1"), x, nil, m[0], epsilon))
	x = w.Gated(x, w.RMSNorm(s.At("attention_norm2"), y, epsilon), w.Tanh(m[1]))
	y = w.ModulateRMS(s.At("ffn_norm1"), x, nil, m[2], epsilon)
	f := s.At("feed_forward")
	y = w.Linear(f.At("w2"), w.SwiGLU(w.Linear(f.At("w3"), y, w.inner), w.Linear(f.At("w1"), y, w.inner)), w.width)
	return w.Gated(x, w.RMSNorm(s.At("ffn_norm2"), y, epsilon), w.Tanh(m[3]))
}

func (w *writer) attention(s *weights.Scope, x *onnx.Value) *onnx.Value {
	part := func(i int) *onnx.Value { return w.LinearRows(s.At("qkv"), x, 3*w.width, i*w.width, w.width) }
	a := onnx.Attention{Heads: w.heads, Scale: float32(1 / math.Sqrt(float64(w.head()))), KeyMask: w.mask}
	y := w.JointAttention(a, w.rope, nn.Stream{
		Q: w.HeadRMSNorm(s.At("norm_q"), part(0), w.heads, epsilon), K: w.HeadRMSNorm(s.At("norm_k"), part(1), w.heads, epsilon), V: part(2),
	})[0]
	return w.Linear(s.At("o"), y, w.width)
}
