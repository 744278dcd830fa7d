package krea2

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
	// References reports that there are tokens of reference latents, Still that they have the timestep zero.
	References, Still bool
	// Skip are blocks that are left out.
	Skip []int
}

func (v variant) digest() string { return family.Digest(v.References, v.Still, v.Skip) }

// epsilon is the epsilon of the norms.
const epsilon = 1e-5

// writer writes one graph.
type writer struct {
	*nn.Builder
	config
	s *weights.Scope
}

// write writes a graph of the network. Inputs: x [B,I,C·4], ref [B,R,C·4], context [B,T,layers·width], timesteps and
// still [B], cos and sin [1,T+I+R,D/2]. Output: out [B,I,C·4]. Upstream: krea2/model.py SingleStreamDiT.
func write(b *nn.Builder, s *weights.Scope, c config, v variant) {
	w := &writer{Builder: b, config: c, s: s}
	rows, images, texts := onnx.Sym("B"), onnx.Sym("I"), onnx.Sym("T")
	cell := onnx.D(c.channels * side * side)
	img := dit.Input(b, "x", rows, images, cell)
	all := texts.Plus(images)
	if v.References {
		img = b.Concat(1, img, dit.Input(b, "ref", rows, onnx.Sym("R"), cell))
		all = all.Plus(onnx.Sym("R"))
	}
	rope := dit.RotaryInputs(b, all, headWidth)
	img = b.Linear(s.At("first"), img, c.features)
	txt := w.text(dit.Input(b, "context", rows, texts, onnx.D(c.textLayers*c.textWidth)))

	t := w.time("timesteps")
	mods := w.modulation(t)
	var still []*onnx.Value
	if v.Still {
		still = w.modulation(w.time("still"))
	}
	x := b.Concat(1, txt, img)
	from := texts.Plus(images)
	for i := range s.Count("blocks") {
		if !slices.Contains(v.Skip, i) {
			x = w.block(s.At("blocks").Index(i), x, mods, still, from, rope)
		}
	}
	x = b.SliceDims(x, 1, texts, from)
	last := s.At("last")
	own := last.At("modulation").Weight("lin", 2, c.features)
	scale, shift := b.Add(t, dit.TableRows(b, own, 0, 1)), b.Add(t, dit.TableRows(b, own, 1, 1))
	x = b.Add(b.Mul(w.norm(last.At("norm"), x), b.Add(scale, b.Const(1))), shift)
	dit.Output(b, "out", b.Linear(last.At("linear"), x, c.channels*side*side))
}

// time embeds the timesteps of an input [B] to [B,1,C].
func (w *writer) time(name string) *onnx.Value {
	const frequencies, factor = 256, 1000
	t := w.Mul(w.Input(name, dtype.F32, onnx.Sym("B")), w.Scalar(dtype.F32, factor))
	y := w.Linear(w.s.At("tmlp.0"), w.TimestepEmbedding(t, frequencies), w.features)
	return w.Unsqueeze(w.Linear(w.s.At("tmlp.2"), w.Gelu(y, true), w.features), 1)
}

// modulation makes the six parts that all blocks share.
func (w *writer) modulation(t *onnx.Value) []*onnx.Value {
	return w.Chunks(w.Linear(w.s.At("tproj.1"), w.Gelu(t, true), 6*w.features), 6)
}

func (w *writer) norm(s *weights.Scope, x *onnx.Value) *onnx.Value { return w.RMSNorm(s, x, epsilon) }

// attention writes attention with a gate. heads and shared are the numbers of heads of the queries and of the keys.
func (w *writer) attention(s *weights.Scope, x *onnx.Value, heads, shared int, rope *nn.Rotary) *onnx.Value {
	width := x.Dim(2).N
	d := width / heads
	q := w.HeadRMSNorm(s.At("qknorm", "qnorm"), w.Linear(s.At("wq"), x, width), heads, epsilon)
	k := w.HeadRMSNorm(s.At("qknorm", "knorm"), w.Linear(s.At("wk"), x, shared*d), shared, epsilon)
	v := w.Linear(s.At("wv"), x, shared*d)
	a := onnx.Attention{Heads: heads, KVHeads: shared, Scale: float32(1 / math.Sqrt(float64(d)))}
	y := w.JointAttention(a, rope, nn.Stream{Q: q, K: k, V: v})[0]
	return w.Linear(s.At("wo"), w.Mul(y, w.Sigmoid(w.Linear(s.At("gate"), x, width))), width)
}

func (w *writer) feedForward(s *weights.Scope, x *onnx.Value) *onnx.Value {
	width, inner := x.Dim(-1).N, rowsOf(s.Shape("gate.weight"))
	return w.Linear(s.At("down"), w.SwiGLU(w.Linear(s.At("up"), x, inner), w.Linear(s.At("gate"), x, inner)), width)
}

// text joins the layers of the text encoding to one: attention among a token's layers, a weighted sum, attention among
// tokens.
func (w *writer) text(x *onnx.Value) *onnx.Value {
	rows, tokens := x.Dim(0), x.Dim(1)
	s := w.s.At("txtfusion")
	block := func(s *weights.Scope, x *onnx.Value) *onnx.Value {
		x = w.Add(x, w.attention(s.At("attn"), w.norm(s.At("prenorm"), x), w.textHeads, w.textHeads, nil))
		return w.Add(x, w.feedForward(s.At("mlp"), w.norm(s.At("postnorm"), x)))
	}
	x = w.Reshape(x, rows.Times(tokens), onnx.D(w.textLayers), onnx.D(w.textWidth))
	for i := range s.Count("layerwise_blocks") {
		x = block(s.At("layerwise_blocks").Index(i), x)
	}
	x = w.Linear(s.At("projector"), w.Transpose(x, 0, 2, 1), 1)
	x = w.Reshape(x, rows, tokens, onnx.D(w.textWidth))
	for i := range s.Count("refiner_blocks") {
		x = block(s.At("refiner_blocks").Index(i), x)
	}
	x = w.Linear(w.s.At("txtmlp.1"), w.norm(w.s.At("txtmlp.0"), x), w.features)
	return w.Linear(w.s.At("txtmlp.3"), w.Gelu(x, true), w.features)
}

// block writes a block: mods modulate the tokens before from, still, when set, those after it.
func (w *writer) block(s *weights.Scope, x *onnx.Value, mods, still []*onnx.Value, from onnx.Dim, rope *nn.Rotary) *onnx.Value {
	own := s.At("mod").Weight("lin", 6*w.features)
	part := func(shared []*onnx.Value, i int) *onnx.Value {
		return w.Add(shared[i], dit.TableRows(w.Builder, own, i*w.features, w.features))
	}
	// each applies f with the modulation of each kind of tokens.
	each := func(x *onnx.Value, f func(x *onnx.Value, shared []*onnx.Value) *onnx.Value) *onnx.Value {
		if still == nil {
			return f(x, mods)
		}
		return w.Concat(1, f(w.SliceDims(x, 1, onnx.D(0), from), mods), f(w.SliceDims(x, 1, from, x.Dim(1)), still))
	}
	layer := func(x *onnx.Value, at int, norm string, f func(*onnx.Value) *onnx.Value) *onnx.Value {
		y := each(w.norm(s.At(norm), x), func(y *onnx.Value, m []*onnx.Value) *onnx.Value {
			return w.Add(w.Mul(y, w.Add(part(m, at), w.Const(1))), part(m, at+1))
		})
		return w.Add(x, each(f(y), func(y *onnx.Value, m []*onnx.Value) *onnx.Value { return w.Mul(y, part(m, at+2)) }))
	}
	x = layer(x, 0, "prenorm", func(y *onnx.Value) *onnx.Value {
		return w.attention(s.At("attn"), y, w.features/headWidth, w.sharedHeads, rope)
	})
	return layer(x, 3, "postnorm", func(y *onnx.Value) *onnx.Value { return w.feedForward(s.At("mlp"), y) })
}
