package hydit

import (
	"fmt"
	"math"
	"slices"

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

// begin writes what comes before the blocks: the image tokens x, the text, the condition c of the blocks after its SiLU, and the positions. Inputs: x
// [B,C,h·2,w·2], timesteps [B], context [B,T,C'] and wide [B,S,C"], each with a mask [B,tokens] and slots [tokens]; first, the tokens of wide that
// are pooled; sizes [B,6] for versions that read them; cos and sin [1,h·w,D/2].
func (w *writer) begin(s *weights.Scope) (x, text, c *onnx.Value, rope *nn.Rotary) {
	rows := onnx.Sym("B")
	latent, tokens := dit.LatentInput(w.Builder, w.channels, side)
	rope = dit.RotaryInputs(w.Builder, tokens, w.hidden/heads)
	context := dit.Input(w.Builder, "context", rows, onnx.Sym("T"), onnx.D(w.text))
	wide := dit.Input(w.Builder, "wide", rows, onnx.Sym("S"), onnx.D(w.wide))
	narrow := dit.MLP(w.Builder, s.At("mlp_t5"), wide, 4*w.wide, w.text, "0", "2")
	table := w.Table(s.Weight("text_embedding_padding", w.texts+w.wideTexts, w.text))
	text = w.Concat(1, w.padded("context", context, table), w.padded("wide", narrow, table))

	extra := []*onnx.Value{w.pool(s.At("pooler"), dit.Input(w.Builder, "first", rows, onnx.D(w.wideTexts), onnx.D(w.wide)))}
	if w.sized {
		sizes := w.Reshape(w.Input("sizes", dtype.F32, rows, onnx.D(sizeValues)), rows.Times(onnx.D(sizeValues)))
		style := w.Table(s.Weight(styleKey, 1, w.hidden))
		extra = append(extra, w.Reshape(w.TimestepEmbedding(sizes, waves), rows, onnx.D(sizeValues*waves)), w.Expand(style, rows, onnx.D(w.hidden)))
	}
	c = dit.TimeMLP(w.Builder, s.At("t_embedder"), w.Input("timesteps", dtype.F32, rows), 1, w.hidden, "mlp.0", "mlp.2")
	joined := extra[0]
	if len(extra) > 1 {
		joined = w.Concat(1, extra...)
	}
	c = w.SiLU(w.Add(c, dit.MLP(w.Builder, s.At("extra_embedder"), joined, 4*w.hidden, w.hidden, "0", "2")))

	return dit.PatchEmbed(w.Builder, s.At("x_embedder", "proj"), latent, w.hidden, side), text, c, rope
}

// skips is the number of long skip connections.
func (m config) skips() int { return max(m.blocks/2-1, 0) }

// residual names the input of a ControlNet's residual [B,h·w,hidden] on skip connection i.
func residual(i int) string { return fmt.Sprintf("control.%d", i) }

// write writes the network, with the residuals of a ControlNet on the given skip connections. Output: out [B,h·w,4·2·C]. Upstream:
// hydit/models.py HunYuanDiT.
func (w *writer) write(s *weights.Scope, controls []int) {
	x, text, c, rope := w.begin(s)
	var skips []*onnx.Value
	for i := range w.blocks {
		block := s.At("blocks").Index(i)
		if i > w.blocks/2 && len(skips) > 0 {
			n := len(skips) - 1
			skip := skips[n]
			if slices.Contains(controls, n) {
				skip = w.Add(skip, dit.Input(w.Builder, residual(n), skip.Shape...))
			}
			x, skips = w.Concat(2, x, skip), skips[:n]
			x = w.Linear(block.At("skip_linear"), w.LayerNorm(block.At("skip_norm"), x, epsilon), w.hidden)
		}
		x = w.block(block, x, c, text, rope)
		if i < w.skips() {
			skips = append(skips, x)
		}
	}
	final := s.At("final_layer")
	mods := w.Chunks(w.Linear(final.At("adaLN_modulation", "1"), c, 2*w.hidden), 2)
	dit.Output(w.Builder, "out", w.Linear(final.At("linear"), w.Modulate(x, mods[0], mods[1], epsilon), 2*w.channels*side*side))
}

// padded is an encoding x [B,T,C] with rows of the table of learned padding where its mask is 0.
func (w *writer) padded(name string, x, table *onnx.Value) *onnx.Value {
	keep := w.Unsqueeze(dit.Input(w.Builder, name+" mask", x.Dim(0), x.Dim(1)), 2)
	learned := w.Unsqueeze(w.Gather(table, w.Input(name+" slots", dtype.I64, x.Dim(1))), 0)
	return w.Add(w.Mul(x, keep), w.Mul(learned, w.Sub(w.Const(1), keep)))
}

// pool converts an encoding [B,S,C'] to one vector [B,C] by the attention of its mean. Upstream: poolers.py AttentionPool.
func (w *writer) pool(s *weights.Scope, x *onnx.Value) *onnx.Value {
	x = w.Concat(1, w.ReduceMean(x, true, 1), x)
	x = w.Add(x, w.Table(s.Weight("positional_embedding", w.wideTexts+1, w.wide)))
	q := w.Linear(s.At("q_proj"), w.Slice(x, 1, 0, 1), w.wide)
	a := onnx.Attention{Heads: poolHeads, Scale: float32(1 / math.Sqrt(float64(w.wide)/poolHeads))}
	y := w.Attend(q, w.Linear(s.At("k_proj"), x, w.wide), w.Linear(s.At("v_proj"), x, w.wide), a)
	return w.Squeeze(w.Linear(s.At("c_proj"), y, w.pooled), 1)
}

// block is attention, attention to the text and a feed-forward layer. c is after SiLU. Upstream: HunYuanDiTBlock.
func (w *writer) block(s *weights.Scope, x, c, text *onnx.Value, rope *nn.Rotary) *onnx.Value {
	h := w.hidden
	a := onnx.Attention{Heads: heads, Scale: float32(1 / math.Sqrt(float64(h)/heads))}
	own := s.At("attn1")
	y := w.Add(w.LayerNorm(s.At("norm1"), x, epsilon), w.Unsqueeze(w.Linear(s.At("default_modulation", "1"), c, h), 1))
	rows := func(i int) *onnx.Value { return w.LinearRows(own.At("Wqkv"), y, 3*h, i*h, h) }
	q := w.HeadLayerNorm(own.At("q_norm"), rows(0), heads, epsilon)
	k := w.HeadLayerNorm(own.At("k_norm"), rows(1), heads, epsilon)
	x = w.Add(x, w.Linear(own.At("out_proj"), w.JointAttention(a, rope, nn.Stream{Q: q, K: k, V: rows(2)})[0], h))

	cross := s.At("attn2")
	q = w.HeadLayerNorm(cross.At("q_norm"), w.Linear(cross.At("q_proj"), w.LayerNorm(s.At("norm3"), x, epsilon), h), heads, epsilon)
	kv := func(i int) *onnx.Value { return w.LinearRows(cross.At("kv_proj"), text, 2*h, i*h, h) }
	k = w.HeadLayerNorm(cross.At("k_norm"), kv(0), heads, epsilon)
	x = w.Add(x, w.Linear(cross.At("out_proj"), w.Attend(w.Rotate(q, rope, heads), k, kv(1), a), h))

	y = w.Gelu(w.Linear(s.At("mlp", "fc1"), w.LayerNorm(s.At("norm2"), x, epsilon), w.inner), true)
	return w.Add(x, w.Linear(s.At("mlp", "fc2"), y, h))
}
