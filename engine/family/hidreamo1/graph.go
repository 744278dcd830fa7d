package hidreamo1

import (
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

const (
	epsilon   = 1e-6
	timeWidth = 256
)

// build writes the graph. Inputs: embeds [B,A,width] of the tokens that are read in order, times [B], patches [B,N+R,3072] of the noisy image and
// of reference images, cosines and sines [1,A+1+N+R,D/2], and target [N], of which only the size is used. Output: out [B,N,3072], the image's
// patches. Upstream: ldm/hidream_o1/model.py HiDreamO1Transformer.
func (m *model) build(spec family.Spec) (*onnx.Graph, error) {
	return spec.Build("hidream o1", m.Source, func(b *nn.Builder, s *weights.Scope) {
		rows, read, image, refs, one := onnx.Sym("B"), onnx.Sym("A"), onnx.Sym("N"), onnx.Sym("R"), onnx.D(1)
		b.Input("target", dtype.F32, image)
		w := &writer{Builder: b, c: m.config, read: read}
		all := read.Plus(one).Plus(image).Plus(refs)
		w.rope = &nn.Rotary{Cos: dit.Input(b, "cos", one, all, onnx.D(m.head/2)), Sin: dit.Input(b, "sin", one, all, onnx.D(m.head/2))}
		embeds := dit.Input(b, "embeds", rows, read, onnx.D(m.width))
		mlp := s.At("t_embedder1", "mlp")
		time := b.TimestepEmbedding(b.Input("times", dtype.F32, rows), timeWidth)
		time = b.Linear(mlp.At("2"), b.SiLU(b.Linear(mlp.At("0"), time, m.width)), m.width)
		x := dit.Input(b, "patches", rows, image.Plus(refs), onnx.D(side*side*rgb))
		x = b.Linear(s.At("x_embedder", "proj2"), b.Linear(s.At("x_embedder", "proj1"), x, m.squeezed), m.width)
		h := b.Concat(1, embeds, b.Unsqueeze(time, 1), x)
		l := s.At("language_model")
		for i := range m.layers {
			h = w.layer(l.At("layers").Index(i), h)
		}
		from := read.Plus(one)
		h = b.RMSNorm(l.At("norm"), b.SliceDims(h, 1, from, from.Plus(image)), epsilon)
		dit.Output(b, "out", b.Linear(s.At("final_layer2", "linear"), h, side*side*rgb))
	})
}

type writer struct {
	*nn.Builder
	c    config
	read onnx.Dim
	rope *nn.Rotary
}

func (w *writer) layer(s *weights.Scope, x *onnx.Value) *onnx.Value {
	c := w.c
	x = w.Add(x, w.attend(s.At("self_attn"), w.RMSNorm(s.At("input_layernorm"), x, epsilon)))
	m, n := s.At("mlp"), w.RMSNorm(s.At("post_attention_layernorm"), x, epsilon)
	y := w.SwiGLU(w.Linear(m.At("up_proj"), n, c.inner), w.Linear(m.At("gate_proj"), n, c.inner))
	return w.Add(x, w.Linear(m.At("down_proj"), y, c.width))
}

// attend lets the tokens that are read in order attend to those before them, and the others to all.
func (w *writer) attend(s *weights.Scope, x *onnx.Value) *onnx.Value {
	c := w.c
	q := w.Rotate(w.HeadRMSNorm(s.At("q_norm"), w.Linear(s.At("q_proj"), x, c.heads*c.head), c.heads, epsilon), w.rope, c.heads)
	k := w.Rotate(w.HeadRMSNorm(s.At("k_norm"), w.Linear(s.At("k_proj"), x, c.keyHeads*c.head), c.keyHeads, epsilon), w.rope, c.keyHeads)
	v := w.Linear(s.At("v_proj"), x, c.keyHeads*c.head)
	a := onnx.Attention{Heads: c.heads, KVHeads: c.keyHeads, Scale: float32(1 / math.Sqrt(float64(c.head)))}
	zero, all := onnx.D(0), x.Dim(1)
	first := func(v *onnx.Value) *onnx.Value { return w.SliceDims(v, 1, zero, w.read) }
	rest := w.Attend(w.SliceDims(q, 1, w.read, all), k, v, a)
	a.Causal = true
	y := w.Concat(1, w.Attend(first(q), first(k), first(v), a), rest)
	return w.Linear(s.At("o_proj"), y, c.width)
}
