package ltxv

import (
	"math"
	"slices"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// variant distinguishes the graphs of one network.
type variant struct {
	// Masked reports that text tokens are hidden, Guided that guides attend with their own strengths.
	Masked, Guided bool
	// Passing are blocks whose self-attention passes its values on.
	Passing []int
}

func (v variant) digest() string { return family.Digest(v.Masked, v.Guided, v.Passing) }

const (
	epsilon     = 1e-6
	normEpsilon = 1e-5
	// extra is the number of additional values of a head of queries and keys for the strengths of guides.
	extra = 8
	// modulations is the number of a block's modulations.
	modulations = 6
)

// The symbols of a graph's shapes: rows, groups of tokens with one timestep, tokens of a group, tokens of the text.
var (
	symB = onnx.Sym("B")
	symG = onnx.Sym("G")
	symL = onnx.Sym("L")
	symT = onnx.Sym("T")
)

// writer writes the layers of one stream of tokens.
type writer struct {
	*nn.Builder
	config
	v variant
	// groups is the number of groups of tokens with one timestep, each the number of tokens of a group.
	groups, each onnx.Dim

	rope         *nn.Rotary
	queries, key *onnx.Value // what Guided appends to each head, [1,S,8]
	textMask     *onnx.Value
	ones         *onnx.Value
}

// write writes a graph of the network. Inputs: tokens x [B,G,L,C] and timesteps [B,G] of each group of tokens; context
// [B,T,C'] and mask [B,T] of zeros and ones; cos and sin [1,G·L·heads,D/2]; guideq and guidek [1,G·L,8]. Output: out
// [B,G·L,C]. Upstream: ldm/lightricks/model.py LTXVModel.
func write(b *nn.Builder, s *weights.Scope, c config, v variant) {
	w := &writer{Builder: b, config: c, v: v, groups: symG, each: symL}
	h, tokens := c.hidden, symG.Times(symL)
	x := dit.Input(b, "x", symB, symG, symL, onnx.D(c.channels))
	x = b.Linear(s.At("patchify_proj"), b.Reshape(x, symB, tokens, onnx.D(c.channels)), h)
	times := b.Reshape(b.Input("timesteps", dtype.F32, symB, symG), symB.Times(symG))
	text := dit.Input(b, "context", symB, symT, onnx.D(c.text))
	if v.Masked {
		w.textMask = b.Cast(b.Input("mask", dtype.F32, symB, symT), dtype.I32)
	}
	width := h / c.heads
	turned := tokens.Times(onnx.D(c.heads))
	w.rope = c.rotary(b, "cos", "sin", turned, width)
	if v.Guided {
		w.queries, w.key = dit.Input(b, "guideq", onnx.D(1), tokens, onnx.D(extra)), dit.Input(b, "guidek", onnx.D(1), tokens, onnx.D(extra))
	}
	caption := s.At("caption_projection")
	text = b.Linear(caption.At("linear_2"), b.Gelu(b.Linear(caption.At("linear_1"), text, h), true), h)

	ada := s.At("adaln_single")
	time := dit.TimeMLP(b, ada.At("emb.timestep_embedder"), times, float32(c.TimeScale), h, "linear_1", "linear_2")
	mods := b.Linear(ada.At("linear"), b.SiLU(time), modulations*h)
	for i := range c.blocks {
		x = w.block(s.At("transformer_blocks").Index(i), x, text, mods, slices.Contains(v.Passing, i))
	}
	table := s.Weight("scale_shift_table", 2, h)
	row := func(i int) *onnx.Value { return b.Add(b.Unsqueeze(time, 1), dit.TableRows(b, table, i, 1)) }
	x = w.grouped(x, func(x *onnx.Value) *onnx.Value { return b.Modulate(x, row(0), row(1), epsilon) })
	dit.Output(b, "out", b.Linear(s.At("proj_out"), x, c.channels))
}

// rotary declares the angles of the given number of heads of a width, [1,heads,width/2] each.
func (s settings) rotary(b *nn.Builder, cos, sin string, heads onnx.Dim, width int) *nn.Rotary {
	return &nn.Rotary{
		Cos: dit.Input(b, cos, onnx.D(1), heads, onnx.D(width/2)), Sin: dit.Input(b, sin, onnx.D(1), heads, onnx.D(width/2)),
		Interleaved: s.Rope == ropeInterleaved,
	}
}

// grouped applies f to tokens [B,S,C] in groups [B·G,L,C], each of which has one timestep.
func (w *writer) grouped(x *onnx.Value, f func(x *onnx.Value) *onnx.Value) *onnx.Value {
	return w.Reshape(f(w.Reshape(x, symB.Times(w.groups), w.each, x.Dim(2))), x.Shape...)
}

// rms is the RMSNorm of x without learned values.
func (w *writer) rms(x *onnx.Value) *onnx.Value {
	if w.ones == nil {
		w.ones = onesOf(w.Builder, w.hidden)
	}
	return w.Graph.RMSNorm(x, w.ones, epsilon)
}

// onesOf returns the given number of ones in the compute type.
func onesOf(b *nn.Builder, n int) *onnx.Value {
	return b.Cast(b.Floats(slices.Repeat([]float32{1}, n), n), b.Target.Compute)
}

// block is self-attention, attention to the text and a feed-forward layer. Upstream: BasicTransformerBlock.
func (w *writer) block(s *weights.Scope, x, text, mods *onnx.Value, pass bool) *onnx.Value {
	h := w.hidden
	table := s.Weight("scale_shift_table", modulations, h)
	m := make([]*onnx.Value, modulations)
	for i, shared := range w.Chunks(mods, modulations) {
		m[i] = w.Add(shared, dit.TableRows(w.Builder, table, i, 1))
	}
	x = w.gated(x, w.self(s.At("attn1"), w.modulated(x, m[0], m[1]), pass), m[2])
	x = w.Add(x, w.cross(s.At("attn2"), x, text))
	return w.gated(x, w.feedForward(s.At("ff"), w.modulated(x, m[3], m[4])), m[5])
}

// modulated is the RMSNorm of x times 1+scale plus shift, those of each group of tokens.
func (w *writer) modulated(x, shift, scale *onnx.Value) *onnx.Value {
	return w.grouped(x, func(x *onnx.Value) *onnx.Value {
		return w.Add(w.Mul(w.rms(x), w.Add(scale, w.Const(1))), shift)
	})
}

// gated is x + gate·y, the gate that of each group of tokens.
func (w *writer) gated(x, y, gate *onnx.Value) *onnx.Value {
	return w.Add(x, w.grouped(y, func(y *onnx.Value) *onnx.Value { return w.Mul(y, gate) }))
}

func (w *writer) feedForward(s *weights.Scope, x *onnx.Value) *onnx.Value {
	return w.Linear(s.At("net.2"), w.Gelu(w.Linear(s.At("net.0.proj"), x, 4*w.hidden), true), w.hidden)
}

// turn rotates the heads of x [B,S,C], each by angles of its own.
func (w *writer) turn(x *onnx.Value) *onnx.Value { return turn(w.Builder, x, w.rope, w.heads) }

func turn(b *nn.Builder, x *onnx.Value, rope *nn.Rotary, heads int) *onnx.Value {
	apart := b.Reshape(x, x.Dim(0), x.Dim(1).Times(onnx.D(heads)), onnx.D(x.Dim(2).N/heads))
	return b.Reshape(b.Rotate(apart, rope, 1), x.Shape...)
}

// attend is attention between projected tokens, with the norms of queries and keys.
func (w *writer) attend(s *weights.Scope, q, k, v *onnx.Value, a onnx.Attention) *onnx.Value {
	a.Heads, a.Scale = w.heads, float32(1/math.Sqrt(float64(w.hidden/w.heads)))
	return w.Linear(s.At("to_out.0"), w.Attend(q, k, v, a), w.hidden)
}

func (w *writer) self(s *weights.Scope, x *onnx.Value, pass bool) *onnx.Value {
	h := w.hidden
	v := w.Linear(s.At("to_v"), x, h)
	if pass {
		return w.Linear(s.At("to_out.0"), v, h)
	}
	q := w.turn(w.RMSNorm(s.At("q_norm"), w.Linear(s.At("to_q"), x, h), normEpsilon))
	k := w.turn(w.RMSNorm(s.At("k_norm"), w.Linear(s.At("to_k"), x, h), normEpsilon))
	if w.v.Guided {
		q, k = appendHeads(w.Builder, q, w.queries, w.heads), appendHeads(w.Builder, k, w.key, w.heads)
	}
	return w.attend(s, q, k, v, onnx.Attention{})
}

// appendHeads appends values [1,S,8] to each head of x [B,S,heads·D].
func appendHeads(b *nn.Builder, x, values *onnx.Value, heads int) *onnx.Value {
	width := x.Dim(2).N / heads
	more := b.Expand(b.Unsqueeze(values, 2), x.Dim(0), x.Dim(1), onnx.D(heads), onnx.D(extra))
	joined := b.Concat(3, b.Reshape(x, x.Dim(0), x.Dim(1), onnx.D(heads), onnx.D(width)), more)
	return b.Reshape(joined, x.Dim(0), x.Dim(1), onnx.D(heads*(width+extra)))
}

func (w *writer) cross(s *weights.Scope, x, text *onnx.Value) *onnx.Value {
	h := w.hidden
	q := w.RMSNorm(s.At("q_norm"), w.Linear(s.At("to_q"), x, h), normEpsilon)
	k := w.RMSNorm(s.At("k_norm"), w.LinearOnce(s.At("to_k"), text, h), normEpsilon)
	return w.attend(s, q, k, w.LinearOnce(s.At("to_v"), text, h), onnx.Attention{KeyMask: w.textMask})
}
