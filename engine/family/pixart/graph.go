package pixart

import (
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

const epsilon = 1e-6

// writer writes one graph.
type writer struct {
	*nn.Builder
	config
}

// write writes a graph of the network. Inputs: x [B,C,h·2,w·2], pos [1,h·w,H], context [B,T,C'], timesteps, and for models
// that read the image's size height, width and ratio, [B] each. Output: out [B,h·w,4·C·2]. Upstream: pixartms.py.
func write(b *nn.Builder, s *weights.Scope, c config) {
	w := &writer{Builder: b, config: c}
	h, rows := c.hidden, onnx.Sym("B")
	latent, tokens := dit.LatentInput(b, c.channels, side)
	x := b.Add(dit.PatchEmbed(b, s.At("x_embedder", "proj"), latent, h, side), dit.Input(b, "pos", onnx.D(1), tokens, onnx.D(h)))
	number := func(name, layer string, out int) *onnx.Value {
		return dit.TimeMLP(b, s.At(layer), b.Input(name, dtype.F32, rows), 1, out, "mlp.0", "mlp.2")
	}
	t := number("timesteps", "t_embedder", h)
	if c.sized {
		const parts = 3
		t = b.Add(t, b.Concat(1, number("height", "csize_embedder", h/parts), number("width", "csize_embedder", h/parts), number("ratio", "ar_embedder", h/parts)))
	}
	mods := b.Chunks(b.Linear(s.At("t_block.1"), b.SiLU(t), 6*h), 6)
	y := dit.Input(b, "context", rows, onnx.Sym("T"), onnx.D(c.context))
	y = b.Linear(s.At("y_embedder", "y_proj", "fc2"), b.Gelu(b.Linear(s.At("y_embedder", "y_proj", "fc1"), y, h), true), h)
	for i := range s.Count("blocks") {
		x = w.block(s.At("blocks").Index(i), x, y, mods)
	}
	final := s.At("final_layer")
	table, t3 := final.Weight("scale_shift_table", 2, h), b.Unsqueeze(t, 1)
	x = b.Modulate(x, b.Add(t3, dit.TableRows(b, table, 0, 1)), b.Add(t3, dit.TableRows(b, table, 1, 1)), epsilon)
	dit.Output(b, "out", b.Linear(final.At("linear"), x, c.out*side*side))
}

func (w *writer) attention() onnx.Attention {
	return onnx.Attention{Heads: heads, Scale: float32(1 / math.Sqrt(float64(w.hidden)/heads))}
}

func (w *writer) block(s *weights.Scope, x, y *onnx.Value, shared []*onnx.Value) *onnx.Value {
	h := w.hidden
	table := s.Weight("scale_shift_table", 6, h)
	m := make([]*onnx.Value, len(shared))
	for i := range m {
		m[i] = w.Add(shared[i], dit.TableRows(w.Builder, table, i, 1))
	}
	z := w.Modulate(x, m[0], m[1], epsilon)
	own := func(i int) *onnx.Value { return w.LinearRows(s.At("attn", "qkv"), z, 3*h, i*h, h) }
	x = w.Gated(x, w.Linear(s.At("attn", "proj"), w.Attend(own(0), own(1), own(2), w.attention()), h), m[2])

	cross := s.At("cross_attn")
	q := w.Linear(cross.At("q_linear"), x, h)
	text := func(i int) *onnx.Value { return w.LinearRows(cross.At("kv_linear"), y, 2*h, i*h, h) }
	x = w.Add(x, w.Linear(cross.At("proj"), w.Attend(q, text(0), text(1), w.attention()), h))

	inner := 4 * h
	fed := w.Gelu(w.Linear(s.At("mlp", "fc1"), w.Modulate(x, m[3], m[4], epsilon), inner), true)
	return w.Gated(x, w.Linear(s.At("mlp", "fc2"), fed, h), m[5])
}
