package acestep

import (
	"context"
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

const (
	keyWords = "lyric_embs.weight"
	epsilon  = 1e-6
	theta    = 1e6
	// wordEpsilon is the epsilon of the norms in the lyrics encoder.
	wordEpsilon = 1e-5
)

// writer writes the graphs of a network.
type writer struct {
	*nn.Builder
	config
}

func (m *model) build(part, name string, steps bool, write func(w writer, s *weights.Scope)) family.Graph {
	return family.Graph{Part: part, Steps: steps, Wide: true, Build: func(spec family.Spec) (*onnx.Graph, error) {
		return spec.Build(name, m.src, func(b *nn.Builder, s *weights.Scope) { write(writer{b, m.config}, s) })
	}}
}

// conditionGraph encodes text [B,T,C], the lyrics' words [B,Y,C] and a voice [B,C]: [B,1+T+Y,C].
func (m *model) conditionGraph() family.Graph {
	return m.build("unet conditions", "ace-step conditions", false, func(w writer, s *weights.Scope) {
		b, y := onnx.Sym("B"), onnx.Sym("Y")
		text := dit.Input(w.Builder, "context", b, onnx.Sym("T"), onnx.D(w.text))
		words := dit.Input(w.Builder, "words", b, y, onnx.D(w.embedded))
		voice := dit.Input(w.Builder, "voice", b, onnx.D(w.voice))
		places := dit.Input(w.Builder, "places", onnx.D(1), onnx.Sym("P"), onnx.D(w.lyrics))
		strength := dit.Input(w.Builder, "strength", onnx.D(1))

		e := s.At("lyric_encoder")
		x := w.LayerNorm(e.At("embed.out.1"), w.Linear(e.At("embed.out.0"), words, w.lyrics), wordEpsilon)
		x = w.Mul(x, w.Const(float32(math.Sqrt(float64(w.lyrics)))))
		for i := range w.lyricLayers {
			l := e.At("encoders").Index(i)
			x = w.Add(x, w.wordAttention(l.At("self_attn"), w.LayerNorm(l.At("norm_mha"), x, wordEpsilon), places))
			f := l.At("feed_forward")
			x = w.Add(x, w.Linear(f.At("w_2"), w.SiLU(w.Linear(f.At("w_1"), w.LayerNorm(l.At("norm_ff"), x, wordEpsilon), w.lyricInner)), w.lyrics))
		}
		x = w.Mul(w.Linear(s.At("lyric_proj"), w.LayerNorm(e.At("after_norm"), x, wordEpsilon), w.width), strength)
		first := w.Unsqueeze(w.Linear(s.At("speaker_embedder"), voice, w.width), 1)
		dit.Output(w.Builder, "out", w.Concat(1, first, w.Linear(s.At("genre_embedder"), text, w.width), x))
	})
}

// wordAttention is self-attention with encodings of the distances of tokens [1,2Y-1,C]. Upstream: RelPositionMultiHeadedAttention.
func (w writer) wordAttention(s *weights.Scope, x, places *onnx.Value) *onnx.Value {
	c, head := w.lyrics, w.lyrics/lyricHeads
	q, k, v := w.Linear(s.At("linear_q"), x, c), w.Linear(s.At("linear_k"), x, c), w.Linear(s.At("linear_v"), x, c)
	plus := func(name string) *onnx.Value {
		r := s.Weight(name, lyricHeads, head)
		if e, err := r.Entry.Reshape(c); err == nil {
			r.Entry = e
		}
		return w.Add(q, w.Table(r))
	}
	apart := func(x *onnx.Value) *onnx.Value {
		return w.Transpose(w.Reshape(x, x.Dim(0), x.Dim(1), onnx.D(lyricHeads), onnx.D(head)), 0, 2, 1, 3)
	}
	far := w.Transpose(apart(w.Linear(s.At("linear_pos"), places, c)), 0, 1, 3, 2)
	scale := float32(1 / math.Sqrt(float64(head)))
	bias := w.Mul(w.shifted(w.MatMul(apart(plus("pos_bias_v")), far), x.Dim(1)), w.Const(scale))
	y := w.Attend(plus("pos_bias_u"), k, v, onnx.Attention{Heads: lyricHeads, Scale: scale, Bias: bias})
	return w.Linear(s.At("linear_out"), y, c)
}

// shifted turns products of tokens with distances n-1 … 1-n, [B,H,n,2n-1], into those of tokens with tokens [B,H,n,n].
func (w writer) shifted(x *onnx.Value, n onnx.Dim) *onnx.Value {
	b, h, p := x.Dim(0), x.Dim(1), x.Dim(3)
	x = w.PadAxes(x, onnx.Zeros, []int{0, 0, 0, 1}, []int{0, 0, 0, 0})
	x = w.Declare(w.Reshape(x, b, h, onnx.Infer, n), onnx.Shape{b, h, p.Plus(onnx.D(1)), n})
	x = w.SliceDims(x, 2, onnx.D(1), p.Plus(onnx.D(1)))
	// p is 2n-1, n and the U others; of the distances of a token, those to the n tokens come first.
	x = w.Declare(w.Reshape(x, b, h, n, p), onnx.Shape{b, h, n, n.Plus(onnx.Sym("U"))})
	return w.SliceDims(x, 3, onnx.D(0), n)
}

// graph is the graph of the transformer: x [B,8,16,L], timesteps [B] and tokens [B,T,C] give [B,8,16,L]. Upstream:
// ACEStepTransformer2DModel.decode.
func (m *model) graph() family.Graph {
	return m.build("unet", "ace-step", true, func(w writer, s *weights.Scope) {
		b, length, c := onnx.Sym("B"), onnx.Sym("L"), w.width
		latent := dit.Input(w.Builder, "x", b, onnx.D(channels), onnx.D(height), length)
		text := dit.Input(w.Builder, "context", b, onnx.Sym("T"), onnx.D(c))
		t := w.Input("timesteps", dtype.F32, b)
		rope, textRope := w.rotary("", length), w.rotary("context_", onnx.Sym("T"))

		p := s.At("proj_in", "early_conv_layers")
		stem := channels * 256
		x := w.ConvND(p.Index(0), latent, stem, []int{height, 1}, 1, onnx.WindowND{Stride: []int{height, 1}})
		x = w.Linear(p.Index(2), w.groupNorm(p.Index(1), x), c)
		x = w.Declare(x, onnx.Shape{b, length, onnx.D(c)})

		temb := dit.TimeMLP(w.Builder, s.At("timestep_embedder"), t, 1, c, "linear_1", "linear_2")
		mods := w.Linear(s.At("t_block").Index(1), w.SiLU(temb), 6*c)
		mods = w.Reshape(mods, b, onnx.D(6), onnx.D(c))
		for i := range w.layers {
			x = w.block(s.At("transformer_blocks").Index(i), x, text, mods, rope, textRope)
		}
		f := s.At("final_layer")
		last := w.Split(w.Add(w.Table(f.Weight("scale_shift_table", 2, c)), w.Unsqueeze(temb, 1)), 1, 1, 1)
		x = w.Linear(f.At("linear"), w.modulated(x, last[0], last[1]), height*channels)
		x = w.Transpose(w.Reshape(x, b, length, onnx.D(height), onnx.D(channels)), 0, 3, 2, 1)
		dit.Output(w.Builder, "out", x)
	})
}

// groupNorm is the group norm of x [B,C,1,L] as tokens [B,L,C]. It is a layer norm of groups: where there is an RMSNorm in the graph, CUDA has
// no kernel for the instance norm that others are written as.
func (w writer) groupNorm(s *weights.Scope, x *onnx.Value) *onnx.Value {
	const groups = 32
	c := x.Dim(1).N
	y := w.LayerNormPlain(w.Reshape(x, x.Dim(0), onnx.D(groups), onnx.Infer), epsilon)
	y = w.Mul(w.ToTokens(w.ReshapeLike(y, x)), w.Table(s.Weight("weight", c)))
	return w.Add(y, w.Table(s.Weight("bias", c)))
}

// modulated is the RMSNorm of x without learned values, times 1+scale, plus shift.
func (w writer) modulated(x, shift, scale *onnx.Value) *onnx.Value {
	return w.Add(w.Mul(w.Graph.RMSNorm(x, nil, epsilon), w.Add(scale, w.Const(1))), shift)
}

// block is linear attention to the music, attention to the conditions, and a gated convolution. Upstream: LinearTransformerBlock.
func (w writer) block(s *weights.Scope, x, text, mods *onnx.Value, rope, textRope *rotary) *onnx.Value {
	m := w.Split(w.Add(w.Table(s.Weight("scale_shift_table", 6, w.width)), mods), 1, 1, 1, 1, 1, 1, 1)
	x = w.Gated(x, w.linearAttention(s.At("attn"), w.modulated(x, m[0], m[1]), rope), m[2])
	a := s.At("cross_attn")
	q, k, v := w.project(a, x, text)
	q, k = w.turn(q, rope), w.turn(k, textRope)
	x = w.Add(x, w.Linear(a.At("to_out").Index(0), w.Attention(q, k, v, nil, w.heads), w.width))
	return w.Gated(x, w.feedForward(s.At("ff"), w.modulated(x, m[3], m[4])), m[5])
}

func (w writer) project(s *weights.Scope, x, y *onnx.Value) (q, k, v *onnx.Value) {
	return w.Linear(s.At("to_q"), x, w.width), w.Linear(s.At("to_k"), y, w.width), w.Linear(s.At("to_v"), y, w.width)
}

// linearAttention is attention without a softmax, whose products with all keys are summed first. It computes in float32. Upstream:
// CustomLiteLAProcessor2_0.
func (w writer) linearAttention(s *weights.Scope, x *onnx.Value, rope *rotary) *onnx.Value {
	q, k, v := w.project(s, x, x)
	head := w.width / w.heads
	apart := func(x *onnx.Value) *onnx.Value { // [B,H,S,D]
		x = w.Reshape(x, x.Dim(0), x.Dim(1), onnx.D(w.heads), onnx.D(head))
		return w.Transpose(w.Cast(x, dtype.F32), 0, 2, 1, 3)
	}
	q4, k4, v4 := w.Relu(apart(w.turn(q, rope))), w.Relu(apart(w.turn(k, rope))), apart(v)
	y := linearAttention(w.Builder, q4, k4, v4)
	return w.Linear(s.At("to_out").Index(0), w.Cast(w.Reshape(w.Transpose(y, 0, 2, 1, 3), x.Shape...), x.DType), w.width)
}

// linearAttention is q·(kᵀ·v), divided by q·Σk, for q, k and v [B,H,S,D] in float32.
func linearAttention(b *nn.Builder, q, k, v *onnx.Value) *onnx.Value {
	const least = 1e-15
	y := b.MatMul(q, b.MatMul(b.Transpose(k, 0, 1, 3, 2), v))
	sums := b.Transpose(b.ReduceSum(k, true, 2), 0, 1, 3, 2) // [B,H,D,1]
	return b.Div(y, b.Add(b.MatMul(q, sums), b.Scalar(dtype.F32, least)))
}

// feedForward is a gated convolution over three tokens. Upstream: GLUMBConv.
func (w writer) feedForward(s *weights.Scope, x *onnx.Value) *onnx.Value {
	both := 2 * w.inner
	y := w.SiLU(w.Conv1d(s.At("inverted_conv", "conv"), w.Transpose(x, 0, 2, 1), both, 1, 1, onnx.WindowND{}))
	y = w.Conv1d(s.At("depth_conv", "conv"), y, both, 3, both, onnx.Same(3))
	parts := w.Split(y, 1, w.inner, w.inner)
	y = w.Conv1d(s.At("point_conv", "conv"), w.SwiGLU(parts[0], parts[1]), w.width, 1, 1, onnx.WindowND{})
	return w.Transpose(y, 0, 2, 1)
}

// rotary are cosines and sines of each element of a head, [1,S,1,D].
type rotary struct{ cos, sin *onnx.Value }

func (w writer) rotary(prefix string, tokens onnx.Dim) *rotary {
	in := func(name string) *onnx.Value {
		return w.Input(prefix+name, dtype.F32, onnx.D(1), tokens, onnx.D(1), onnx.D(w.width/w.heads))
	}
	return &rotary{in("cos"), in("sin")}
}

// turn rotates pairs of neighbours of the heads of x [B,S,H·D]. The two of a pair have angles of their own, as in upstream: those of
// element i are the ones of frequency i modulo D/2.
func (w writer) turn(x *onnx.Value, r *rotary) *onnx.Value {
	head := w.width / w.heads
	heads := w.Cast(w.Reshape(x, x.Dim(0), x.Dim(1), onnx.D(w.heads), onnx.D(head)), dtype.F32)
	pairs := w.Split(w.Reshape(heads, x.Dim(0), x.Dim(1), onnx.D(w.heads), onnx.D(head/2), onnx.D(2)), -1, 1, 1)
	turned := w.Reshape(w.Concat(4, w.Neg(pairs[1]), pairs[0]), heads.Shape...)
	y := w.Add(w.Mul(heads, r.cos), w.Mul(turned, r.sin))
	return w.Reshape(w.Cast(y, x.DType), x.Shape...)
}

// angles are the inputs of rotary for the given number of tokens.
func (m *model) angles(prefix string, tokens int) []family.Value {
	head := m.width / m.heads
	cos, sin := nn.RotaryTable(dit.Line(tokens, 0, 1), theta, head)
	in := make([]family.Value, 2)
	for i, half := range [][]float32{cos, sin} {
		whole := tensor.New(1, tokens, 1, head)
		for t := range tokens {
			row := whole.Data[t*head : (t+1)*head]
			copy(row[copy(row, half[t*head/2:(t+1)*head/2]):], half[t*head/2:])
		}
		in[i] = family.Floats(prefix+[]string{"cos", "sin"}[i], whole)
	}
	return in
}

// denoise runs the transformer on latents [B,8,16,L].
func (m *model) denoise(ctx context.Context, run family.Runner, x *tensor.Tensor, t []float32, text *tensor.Tensor) (*tensor.Tensor, error) {
	values := []family.Value{family.Floats("x", x), family.Vector("timesteps", t), family.Floats("context", text)}
	values = append(append(values, m.angles("", x.Dim(3))...), m.angles("context_", text.Dim(1))...)
	out, err := run.Run(ctx, m.graph(), values, "out")
	return out["out"], err
}

func (m *model) memory(rows, length, text int) int64 {
	return m.activations.Of(m.graph(), map[string]int{"B": rows, "L": length, "T": text})
}
