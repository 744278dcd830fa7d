package cosmos

import (
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// variant distinguishes the graphs of one network.
type variant struct {
	// Framed reports that each frame has a timestep of its own.
	Framed bool
	// Lites are the widths of what networks of LLLite read.
	Lites []int
}

const epsilon = 1e-6

// writer writes one graph.
type writer struct {
	*nn.Builder
	*Network
	v       variant
	patches []lite
}

// conditions are the inputs of the blocks besides the tokens.
type conditions struct {
	// time is the embedding of the timesteps [R,C] after SiLU, shared the modulation [R,3·C] that is added to each: a row
	// for each row of the latent, or for each of its frames.
	time, shared *onnx.Value
	text         *onnx.Value
	rope         *nn.Rotary
	// places, when set, are added to the tokens before each block.
	places *onnx.Value
	// frame is the shape in which tokens are modulated, where each frame has a timestep.
	frame onnx.Shape
}

// write writes the network. Inputs: tokens x [B,S,C] and timesteps [B], or x [B,F,L,C] and timesteps [B,F] where each frame
// has one; context [B,T,C'], cos and sin [1,S,D/2]. Output: out [B,S,C]. The residual stream exceeds float16 and is kept in
// float32 there, as upstream does.
func (w *writer) write(s *weights.Scope) {
	rows, cell := onnx.Sym("B"), onnx.D((w.Channels+1)*side*side)
	c := conditions{}
	var x, times *onnx.Value
	if w.v.Framed {
		f, l := onnx.Sym("F"), onnx.Sym("L")
		x = dit.Input(w.Builder, "x", rows, f, l, cell)
		x = w.Reshape(x, rows, f.Times(l), cell)
		times = w.Reshape(w.Input("timesteps", dtype.F32, rows, f), rows.Times(f))
		c.frame = onnx.Shape{rows.Times(f), l, onnx.D(w.Hidden)}
	} else {
		x = dit.Input(w.Builder, "x", rows, onnx.Sym("S"), cell)
		times = w.Input("timesteps", dtype.F32, rows)
	}
	c.text = dit.Input(w.Builder, "context", rows, onnx.Sym("T"), onnx.D(w.Text))
	c.rope = dit.RotaryInputs(w.Builder, x.Dim(1), w.head())
	c.rope.Interleaved = false

	waves := w.TimestepEmbedding(times, w.Hidden)
	c.shared = dit.MLP(w.Builder, s.At("t_embedder.1"), waves, w.Hidden, 3*w.Hidden, "linear_1", "linear_2")
	c.time = w.SiLU(w.RMSNorm(s.At(w.layout.norm), waves, epsilon))

	x = w.wide(w.Linear(s.At("x_embedder.proj.1"), x, w.Hidden))
	w.lites(s, x.Dim(1))
	if w.tables != [3]int{} {
		c.places = w.wide(w.learned(s.At("extra_pos_embedder"), x.Dim(1)))
	}
	for i := range w.Blocks {
		if c.places != nil {
			x = w.Add(x, c.places)
		}
		x = w.block(s, x, c, i)
	}
	last := s.At("final_layer")
	mods := w.Chunks(w.Add(w.modulation(last.At(w.layout.modulation), c, 2), w.Slice(c.shared, 1, 0, 2*w.Hidden)), 2)
	x = w.modulate(x, mods[0], mods[1], c)
	dit.Output(w.Builder, "out", w.Linear(last.At("linear"), x, w.Out*side*side))
}

// wide is x as the residual stream holds it.
func (w *writer) wide(x *onnx.Value) *onnx.Value {
	if w.Target.Compute == dtype.F16 {
		return w.Cast(x, dtype.F32)
	}
	return x
}

// learned are the embeddings of the places of tokens, [1,S,C]: those of frame, row and column, whose sum has the length √C. Upstream:
// position_embedding.py LearnablePosEmbAxis.
func (w *writer) learned(s *weights.Scope, tokens onnx.Dim) *onnx.Value {
	var sum *onnx.Value
	for i, name := range tableNames {
		y := w.GatherAxis(w.Table(s.Weight(name, w.tables[i], w.Hidden)), w.Input(placesName(i), dtype.I64, tokens), 0)
		if sum == nil {
			sum = y
		} else {
			sum = w.Add(sum, y)
		}
	}
	length := w.Mul(w.ReduceL2(sum, true, 1), w.Const(float32(1/math.Sqrt(float64(w.Hidden)))))
	return w.Unsqueeze(w.Div(sum, w.Add(length, w.Const(epsilon))), 0)
}

// modulation makes n parts of the time's embedding by two layers without biases.
func (w *writer) modulation(s *weights.Scope, c conditions, n int) *onnx.Value {
	inner := 1
	if sh := s.Shape("1.weight"); len(sh) > 0 {
		inner = sh[0]
	}
	return w.Linear(s.At("2"), w.Linear(s.At("1"), c.time, inner), n*w.Hidden)
}

// perFrame applies f to tokens [B,S,C] in the shape in which they are modulated.
func (w *writer) perFrame(x *onnx.Value, c conditions, f func(x *onnx.Value) *onnx.Value) *onnx.Value {
	if c.frame == nil {
		return f(x)
	}
	return w.Reshape(f(w.Reshape(x, c.frame...)), x.Shape...)
}

// modulate is the layer norm of the residual stream, modulated, in the compute type.
func (w *writer) modulate(x, shift, scale *onnx.Value, c conditions) *onnx.Value {
	return w.perFrame(x, c, func(x *onnx.Value) *onnx.Value {
		y := w.Graph.LayerNorm(x, w.wide(w.Add(scale, w.Const(1))), w.wide(shift), epsilon)
		return w.Cast(y, w.Target.Compute)
	})
}

// gated is x + gate·y.
func (w *writer) gated(x, y, gate *onnx.Value, c conditions) *onnx.Value {
	y = w.perFrame(y, c, func(y *onnx.Value) *onnx.Value { return w.Mul(w.wide(gate), w.wide(y)) })
	return w.Add(x, y)
}

// block is attention, attention to the text and a feed-forward layer. Upstream: Block.
func (w *writer) block(s *weights.Scope, x *onnx.Value, c conditions, i int) *onnx.Value {
	layer := func(part int, f func(s *weights.Scope, y *onnx.Value) *onnx.Value) {
		at, modulation := w.layout.part(s.At("blocks"), i, part)
		m := w.Chunks(w.Add(w.modulation(modulation, c, 3), c.shared), 3)
		x = w.gated(x, f(at, w.modulate(x, m[0], m[1], c)), m[2], c)
	}
	layer(selfAttention, func(s *weights.Scope, y *onnx.Value) *onnx.Value {
		return w.attention(s, w.lit(y, i, "self_attn_q_proj"), w.lit(y, i, "self_attn_k_proj"), w.lit(y, i, "self_attn_v_proj"), c.rope)
	})
	layer(crossAttention, func(s *weights.Scope, y *onnx.Value) *onnx.Value {
		return w.attention(s, w.lit(y, i, "cross_attn_q_proj"), c.text, c.text, nil)
	})
	layer(feedForward, func(s *weights.Scope, y *onnx.Value) *onnx.Value {
		inner := 1
		if sh := s.Shape("layer1.weight"); len(sh) > 0 {
			inner = sh[0]
		}
		return w.Linear(s.At("layer2"), w.Gelu(w.Linear(s.At("layer1"), w.lit(y, i, "mlp_layer1"), inner), false), w.Hidden)
	})
	return x
}

// attention lets tokens qs attend to ks with the values vs.
func (w *writer) attention(s *weights.Scope, qs, ks, vs *onnx.Value, rope *nn.Rotary) *onnx.Value {
	a := onnx.Attention{Heads: w.Heads, Scale: float32(1 / math.Sqrt(float64(w.head())))}
	n := w.layout
	q := w.HeadRMSNorm(s.At(n.qNorm), w.Linear(s.At(n.q), qs, w.Hidden), w.Heads, epsilon)
	k := w.HeadRMSNorm(s.At(n.kNorm), w.Linear(s.At(n.k), ks, w.Hidden), w.Heads, epsilon)
	v := w.Linear(s.At(n.v), vs, w.Hidden)
	return w.Linear(s.At(n.out), w.JointAttention(a, rope, nn.Stream{Q: q, K: k, V: v})[0], w.Hidden)
}
