package cogvideo

import (
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// epsilon is the epsilon of the norms of tokens, headEpsilon that of queries and keys.
const (
	epsilon     = 1e-5
	headEpsilon = 1e-6
)

// writer writes one graph.
type writer struct {
	*nn.Builder
	config
	// text is the number of text tokens, which come first.
	text onnx.Dim
	time *onnx.Value
}

// write writes the network. Inputs: x [B,C,F·d,h·2,w·2] with d frames in a patch, timesteps [B], context [B,T,C'], cos and sin [1,T+F·h·w,32]
// where positions are rotary, else places [F·h·w] in the table, and ofs [B] where the network has that embedding. Output: out [B,C”,F·d,h·2,w·2]. Upstream: cogvideo/model.py CogVideoXTransformer3DModel.
func (w *writer) write(s *weights.Scope) {
	rows, f, h, v := onnx.Sym("B"), onnx.Sym("F"), onnx.Sym("h"), onnx.Sym("w")
	p := onnx.D(side)
	sizes := []onnx.Dim{f.Times(onnx.D(w.depth)), h.Times(p), v.Times(p)}
	x := dit.Input(w.Builder, "x", append(onnx.Shape{rows, onnx.D(w.channels)}, sizes...)...)
	w.time = w.embedded(s, w.Input("timesteps", dtype.F32, rows))
	text := w.Linear(s.At("patch_embed.text_proj"), dit.Input(w.Builder, "context", rows, onnx.Sym("T"), onnx.D(w.config.text)), w.hidden)
	w.text = text.Dim(1)
	img := w.patches(s, x)
	var rope *nn.Rotary
	if w.learned > 0 {
		table := w.Table(s.Weight("patch_embed.pos_embedding", 1, w.learned, w.hidden))
		img = w.Add(img, w.GatherAxis(table, w.Input("places", dtype.I64, img.Dim(1)), 1))
	} else {
		rope = dit.RotaryInputs(w.Builder, w.text.Plus(img.Dim(1)), head)
	}
	tokens := w.Concat(1, text, img)
	for i := range s.Count("blocks") {
		tokens = w.block(s.At("blocks").Index(i), tokens, rope)
	}
	img = w.LayerNorm(s.At("norm_final"), w.SliceDims(tokens, 1, w.text, tokens.Dim(1)), epsilon)
	m := w.Chunks(w.Linear(s.At("norm_out.linear"), w.SiLU(w.time), 2*w.hidden), 2)
	img = w.scaled(w.LayerNorm(s.At("norm_out.norm"), img, epsilon), m[0], m[1])
	y := w.Linear(s.At("proj_out"), img, w.out*w.depth*side*side)
	dit.Output(w.Builder, "out", w.Unpatchify(y, nn.ChannelsFirst, []int{w.depth, side, side}, sizes...))
}

// embedded is the embedding of the timesteps, with that of the second number where the network has one.
func (w *writer) embedded(s *weights.Scope, t *onnx.Value) *onnx.Value {
	y := dit.MLP(w.Builder, s, w.TimestepEmbedding(t, w.hidden), w.times, w.times, "time_embedding_linear_1", "time_embedding_linear_2")
	if w.ofs == 0 {
		return y
	}
	ofs := w.TimestepEmbedding(w.Input("ofs", dtype.F32, t.Dim(0)), w.ofs)
	return w.Add(y, dit.MLP(w.Builder, s, ofs, w.ofs, w.ofs, "ofs_embedding_linear_1", "ofs_embedding_linear_2"))
}

// patches converts each patch to a token, [B,F·h·w,C].
func (w *writer) patches(s *weights.Scope, x *onnx.Value) *onnx.Value {
	at := s.At("patch_embed.proj")
	if w.depth > 1 {
		return w.Linear(at, w.Patchify(x, nn.ChannelsFirst, w.depth, side, side), w.hidden)
	}
	rows, f := x.Dim(0), x.Dim(2)
	images := w.Reshape(w.Transpose(x, 0, 2, 1, 3, 4), rows.Times(f), x.Dim(1), x.Dim(3), x.Dim(4))
	y := dit.PatchEmbed(w.Builder, at, images, w.hidden, side)
	return w.Reshape(y, rows, f.Times(y.Dim(1)), y.Dim(2))
}

// scaled is x·(1+scale) + shift.
func (w *writer) scaled(x, shift, scale *onnx.Value) *onnx.Value {
	return w.Add(w.Mul(x, w.Add(scale, w.Const(1))), shift)
}

// parts applies f to the text tokens and to the others.
func (w *writer) parts(x *onnx.Value, f func(x *onnx.Value, first int) *onnx.Value) *onnx.Value {
	text, img := w.SliceDims(x, 1, onnx.D(0), w.text), w.SliceDims(x, 1, w.text, x.Dim(1))
	return w.Concat(1, f(text, 3), f(img, 0))
}

// layer is x + gate·f(norm(x)), with modulations that text tokens and the others have of their own.
func (w *writer) layer(s *weights.Scope, x *onnx.Value, f func(y *onnx.Value) *onnx.Value) *onnx.Value {
	m := w.Chunks(w.Linear(s.At("linear"), w.SiLU(w.time), 6*w.hidden), 6)
	y := w.parts(w.LayerNorm(s.At("norm"), x, epsilon), func(y *onnx.Value, first int) *onnx.Value { return w.scaled(y, m[first], m[first+1]) })
	return w.Add(x, w.parts(f(y), func(y *onnx.Value, first int) *onnx.Value { return w.Mul(y, m[first+2]) }))
}

// block is attention of all tokens and a feed-forward layer.
func (w *writer) block(s *weights.Scope, x *onnx.Value, rope *nn.Rotary) *onnx.Value {
	heads := w.hidden / head
	a := onnx.Attention{Heads: heads, Scale: float32(1 / math.Sqrt(head))}
	x = w.layer(s.At("norm1"), x, func(y *onnx.Value) *onnx.Value {
		q := w.HeadLayerNorm(s.At("norm_q"), w.Linear(s.At("q"), y, w.hidden), heads, headEpsilon)
		k := w.HeadLayerNorm(s.At("norm_k"), w.Linear(s.At("k"), y, w.hidden), heads, headEpsilon)
		all := w.JointAttention(a, rope, nn.Stream{Q: q, K: k, V: w.Linear(s.At("v"), y, w.hidden)})
		return w.Linear(s.At("attn_out"), all[0], w.hidden)
	})
	return w.layer(s.At("norm2"), x, func(y *onnx.Value) *onnx.Value {
		inner := 1
		if sh := s.Shape("ff_proj.weight"); len(sh) > 0 {
			inner = sh[0]
		}
		return w.Linear(s.At("ff_out"), w.Gelu(w.Linear(s.At("ff_proj"), y, inner), true), w.hidden)
	})
}
