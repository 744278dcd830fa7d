package acestep15

import (
	"context"
	"fmt"
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
	epsilon = 1e-6
	theta   = 1e6
)

// angles are the inputs of a graph for the rotary positions of the given number of tokens, named with a prefix.
func angles(prefix string, tokens, head int) []family.Value {
	in := dit.Angles(dit.Line(tokens, 0, 1), theta, head)
	for i := range in {
		in[i].Name = prefix + in[i].Name
	}
	return in
}

// writer writes the graphs of a network.
type writer struct{ *nn.Builder }

// rotary declares the inputs that angles makes.
func (w writer) rotary(prefix string, tokens onnx.Dim, head int) *nn.Rotary {
	in := func(name string) *onnx.Value {
		return dit.Input(w.Builder, prefix+name, onnx.D(1), tokens, onnx.D(head/2))
	}
	return &nn.Rotary{Cos: in("cos"), Sin: in("sin")}
}

// project gives the queries of x and the keys and values of y, normalised and rotated.
func (w writer) project(s *weights.Scope, x, y *onnx.Value, c shape, rope *nn.Rotary) (q, k, v *onnx.Value) {
	q = w.HeadRMSNorm(s.At("q_norm"), w.Linear(s.At("q_proj"), x, c.heads*c.head), c.heads, epsilon)
	k = w.HeadRMSNorm(s.At("k_norm"), w.Linear(s.At("k_proj"), y, c.kvHeads*c.head), c.kvHeads, epsilon)
	return w.Rotate(q, rope, c.heads), w.Rotate(k, rope, c.kvHeads), w.Linear(s.At("v_proj"), y, c.kvHeads*c.head)
}

func (s shape) attention() onnx.Attention {
	return onnx.Attention{Heads: s.heads, KVHeads: s.kvHeads, Scale: float32(1 / math.Sqrt(float64(s.head)))}
}

// attend is attention of x to y, or to itself in windows where far is not nil.
func (w writer) attend(s *weights.Scope, x, y *onnx.Value, c shape, rope *nn.Rotary, far *windows) *onnx.Value {
	q, k, v := w.project(s, x, y, c, rope)
	a := c.attention()
	if far != nil {
		return w.Linear(s.At("o_proj"), far.attend(w, q, k, v, a), c.width)
	}
	return w.Linear(s.At("o_proj"), w.Attend(q, k, v, a), c.width)
}

func (w writer) mlp(s *weights.Scope, x *onnx.Value, c shape) *onnx.Value {
	return w.Linear(s.At("down_proj"), w.SwiGLU(w.Linear(s.At("up_proj"), x, c.inner), w.Linear(s.At("gate_proj"), x, c.inner)), c.width)
}

// stack is the layers of an encoder with its final norm.
func (w writer) stack(s *weights.Scope, x *onnx.Value, c shape, rope *nn.Rotary) *onnx.Value {
	for i := range c.layers {
		l := s.At("layers").Index(i)
		n := w.RMSNorm(l.At("input_layernorm"), x, epsilon)
		x = w.Add(x, w.attend(l.At("self_attn"), n, n, c, rope, nil))
		x = w.Add(x, w.mlp(l.At("mlp"), w.RMSNorm(l.At("post_attention_layernorm"), x, epsilon), c))
	}
	return w.RMSNorm(s.At("norm"), x, epsilon)
}

func (m *model) build(part, name string, steps bool, write func(w writer, s *weights.Scope)) family.Graph {
	return family.Graph{Part: part, Steps: steps, Wide: true, Build: func(spec family.Spec) (*onnx.Graph, error) {
		return spec.Build(name, m.src, func(b *nn.Builder, s *weights.Scope) { write(writer{b}, s) })
	}}
}

// conditionGraph encodes lyrics [B,Y,C], the latent of a voice [B,64,L] and text [B,T,C]. Upstream: AceStepConditionEncoder.
func (m *model) conditionGraph() family.Graph {
	return m.build("unet conditions", "ace-step 1.5 conditions", false, func(w writer, s *weights.Scope) {
		b, e, width := onnx.Sym("B"), s.At("encoder"), m.lyric.width
		lyrics := dit.Input(w.Builder, "lyrics", b, onnx.Sym("Y"), onnx.D(m.text))
		l := e.At("lyric_encoder")
		dit.Output(w.Builder, "lyrics_out", w.stack(l, w.Linear(l.At("embed_tokens"), lyrics, width), m.lyric, w.rotary("lyric_", onnx.Sym("Y"), m.lyric.head)))

		voice := dit.Input(w.Builder, "voice", b, onnx.D(channels), onnx.Sym("L"))
		t := e.At("timbre_encoder")
		x := w.stack(t, w.Linear(t.At("embed_tokens"), w.Transpose(voice, 0, 2, 1), width), m.timbre, w.rotary("voice_", onnx.Sym("L"), m.timbre.head))
		dit.Output(w.Builder, "timbre", w.Slice(x, 1, 0, 1))

		text := dit.Input(w.Builder, "context", b, onnx.Sym("T"), onnx.D(m.text))
		dit.Output(w.Builder, "text_out", w.Linear(e.At("text_projector"), text, width))
	})
}

// codeGraph converts a latent [B,N·5,64] to points of codes [B,N,6], not yet rounded. Upstream: AceStepAudioTokenizer.
func (m *model) codeGraph() family.Graph {
	return m.build("unet codes", "ace-step 1.5 codes", false, func(w writer, s *weights.Scope) {
		b, n, t, width := onnx.Sym("B"), onnx.Sym("N"), s.At("tokenizer"), m.pooler.width
		p := t.At("attention_pooler")
		x := dit.Input(w.Builder, "latent", b, n.Times(onnx.D(pool)), onnx.D(channels))
		x = w.Linear(p.At("embed_tokens"), w.Linear(t.At("audio_acoustic_proj"), x, width), width)
		x = w.Reshape(x, b.Times(n), onnx.D(pool), onnx.D(width))
		first := w.Expand(w.Table(p.Weight("special_token", 1, 1, width)), b.Times(n), onnx.D(1), onnx.D(width))
		x = w.stack(p, w.Concat(1, first, x), m.pooler, w.rotary("", onnx.D(pool+1), m.pooler.head))
		x = w.Reshape(w.Slice(x, 1, 0, 1), b, n, onnx.D(width))
		dit.Output(w.Builder, "out", w.Linear(t.At("quantizer", "project_in"), x, len(levels)))
	})
}

// hintGraph converts points of codes [B,N,6] to latents [B,N·5,64]. Upstream: ResidualFSQ.get_output_from_indices,
// AudioTokenDetokenizer.
func (m *model) hintGraph() family.Graph {
	return m.build("unet hints", "ace-step 1.5 hints", false, func(w writer, s *weights.Scope) {
		b, n, d, width := onnx.Sym("B"), onnx.Sym("N"), s.At("detokenizer"), m.codes.width
		x := dit.Input(w.Builder, "points", b, n, onnx.D(len(levels)))
		x = w.Linear(d.At("embed_tokens"), w.Linear(s.At("tokenizer", "quantizer", "project_out"), x, width), width)
		x = w.Reshape(x, b.Times(n), onnx.D(1), onnx.D(width))
		x = w.stack(d, w.Add(x, w.Table(d.Weight("special_tokens", 1, pool, width))), m.codes, w.rotary("", onnx.D(pool), m.codes.head))
		dit.Output(w.Builder, "out", w.Reshape(w.Linear(d.At("proj_out"), x, channels), b, n.Times(onnx.D(pool)), onnx.D(channels)))
	})
}

// graph is the graph of the diffusion transformer: x [B,192,S·2], timesteps [B] and tokens [B,T,C] give [B,64,S·2]. Upstream:
// AceStepDiTModel.
func (m *model) graph() family.Graph {
	return m.build("unet", "ace-step 1.5", true, func(w writer, s *weights.Scope) {
		b, tokens, d, c := onnx.Sym("B"), onnx.Sym("S"), s.At("decoder"), m.main
		latent := dit.Input(w.Builder, "x", b, onnx.D(inChannels), tokens.Times(onnx.D(patchSize)))
		text := dit.Input(w.Builder, "context", b, onnx.Sym("T"), onnx.D(m.lyric.width))
		t := w.Input("timesteps", dtype.F32, b)
		rope, far := w.rotary("", tokens, c.head), w.windows(b, tokens)

		x := w.Transpose(w.Conv1d(d.At("proj_in").Index(1), latent, c.width, patchSize, 1, onnx.WindowND{Stride: []int{patchSize}}), 0, 2, 1)
		text = w.LinearOnce(d.At("condition_embedder"), text, c.width)
		temb, mods := w.times(d.At("time_embed"), t, c.width)
		temb0, mods0 := w.times(d.At("time_embed_r"), w.Mul(t, w.Scalar(dtype.F32, 0)), c.width)
		temb, mods = w.Add(temb, temb0), w.Add(mods, mods0)
		for i := range c.layers {
			near := far
			if i%2 == 1 {
				near = nil
			}
			x = w.layer(d.At("layers").Index(i), x, text, mods, c, rope, near)
		}
		last := w.Split(w.Add(w.Table(d.Weight("scale_shift_table", 1, 2, c.width)), w.Unsqueeze(temb, 1)), 1, 1, 1)
		x = w.ModulateRMS(d.At("norm_out"), x, last[0], last[1], epsilon)
		y := w.ConvTranspose(d.At("proj_out").Index(1), w.Transpose(x, 0, 2, 1), channels, []int{patchSize}, 1, onnx.WindowND{Stride: []int{patchSize}})
		dit.Output(w.Builder, "out", y)
	})
}

// times embeds timesteps t [B]: [B,C], and the modulations of the layers [B,6,C].
func (w writer) times(s *weights.Scope, t *onnx.Value, width int) (temb, mods *onnx.Value) {
	const factor, kinds = 1000, 6
	temb = dit.TimeMLP(w.Builder, s, t, factor, width, "linear_1", "linear_2")
	mods = w.Linear(s.At("time_proj"), w.SiLU(temb), kinds*width)
	return temb, w.Reshape(mods, mods.Dim(0), onnx.D(kinds), onnx.D(width))
}

// layer is attention to the music, to the conditions, and a feed-forward layer. Upstream: AceStepDiTLayer.
func (w writer) layer(s *weights.Scope, x, text, mods *onnx.Value, c shape, rope *nn.Rotary, far *windows) *onnx.Value {
	m := w.Split(w.Add(w.Table(s.Weight("scale_shift_table", 1, 6, c.width)), mods), 1, 1, 1, 1, 1, 1, 1)
	n := w.ModulateRMS(s.At("self_attn_norm"), x, m[0], m[1], epsilon)
	x = w.Gated(x, w.attend(s.At("self_attn"), n, n, c, rope, far), m[2])
	x = w.Add(x, w.attend(s.At("cross_attn"), w.RMSNorm(s.At("cross_attn_norm"), x, epsilon), text, c, nil, nil))
	n = w.ModulateRMS(s.At("mlp_norm"), x, m[3], m[4], epsilon)
	return w.Gated(x, w.mlp(s.At("mlp"), n, c), m[5])
}

// windows is attention in which a token attends to tokens at most window tokens away. Tokens are grouped into blocks of that size,
// and a block attends to itself and its neighbours, so memory grows linearly with the number of tokens.
type windows struct {
	b, n, rest onnx.Dim
	// none are zeros [B,rest], the padding of the last block; bias hides tokens that are too far away, [B·n,1,128,3·128].
	none, bias *onnx.Value
}

// windows declares the inputs that windowInputs makes.
func (w writer) windows(b, tokens onnx.Dim) *windows {
	n, rest := onnx.Sym("n"), onnx.Sym("p")
	return &windows{
		b: b, n: n, rest: rest, none: dit.Input(w.Builder, "none", b, rest),
		bias: dit.Input(w.Builder, "far", b.Times(n), onnx.D(1), onnx.D(window), onnx.D(3*window)),
	}
}

// windowInputs are the inputs of windows for rows of tokens.
func windowInputs(rows, tokens int) []family.Value {
	n, rest := blocks(tokens)
	bias := tensor.New(rows*n, 1, window, 3*window)
	const far = -1e30
	for r := range rows * n {
		block := bias.Index(r).Data
		for q := range window {
			for k := range 3 * window {
				at := (r%n-1)*window + k // the key's place; the query's is in the middle block
				if d := k - window - q; d < -window || d > window || at < 0 || at >= tokens {
					block[q*3*window+k] = far
				}
			}
		}
	}
	return []family.Value{family.Floats("none", tensor.New(rows, rest)), family.Floats("far", bias)}
}

// blocks returns the number of blocks of tokens and the padding of the last one, which is at least one token.
func blocks(tokens int) (n, rest int) {
	n = tokens/window + 1
	return n, n*window - tokens
}

// attend is Attend for tokens [B,S,C].
func (f *windows) attend(w writer, q, k, v *onnx.Value, a onnx.Attention) *onnx.Value {
	whole := func(x *onnx.Value) *onnx.Value {
		fill := w.Expand(w.Unsqueeze(f.none, 2), f.b, f.rest, x.Dim(2))
		return w.Declare(w.Concat(1, x, fill), onnx.Shape{f.b, f.n.Times(onnx.D(window)), x.Dim(2)})
	}
	cut := func(x *onnx.Value) *onnx.Value { return w.Reshape(x, f.b.Times(f.n), onnx.D(window), x.Dim(2)) }
	around := func(x *onnx.Value) *onnx.Value {
		x = w.PadAxes(whole(x), onnx.Zeros, []int{0, window, 0}, []int{0, window, 0})
		var parts []*onnx.Value
		for i := range 3 {
			from := onnx.D(i * window)
			parts = append(parts, cut(w.SliceDims(x, 1, from, from.Plus(f.n.Times(onnx.D(window))))))
		}
		return w.Concat(1, parts...)
	}
	a.Bias = f.bias
	y := w.Attend(cut(whole(q)), around(k), around(v), a)
	y = w.Declare(w.Reshape(y, f.b, f.n.Times(onnx.D(window)), y.Dim(2)), onnx.Shape{f.b, q.Dim(1).Plus(f.rest), y.Dim(2)})
	return w.SliceDims(y, 1, onnx.D(0), q.Dim(1))
}

// denoise runs the diffusion transformer on latents [B,64,L].
func (m *model) denoise(ctx context.Context, run family.Runner, x *tensor.Tensor, t []float32, c known) (*tensor.Tensor, error) {
	rows, length := x.Dim(0), x.Dim(2)
	tokens := (length + patchSize - 1) / patchSize
	in := tensor.New(rows, inChannels, tokens*patchSize)
	for b := range rows {
		to := in.Index(b).Data
		for i, from := range [2]*tensor.Tensor{c.beside.Slice(b, b+1), x.Slice(b, b+1)} {
			for k := range from.Dim(1) {
				copy(to[(i*2*channels+k)*tokens*patchSize:], from.Data[k*length:(k+1)*length])
			}
		}
	}
	values := append([]family.Value{family.Floats("x", in), family.Vector("timesteps", t), family.Floats("context", c.tokens)}, angles("", tokens, m.main.head)...)
	out, err := run.Run(ctx, m.graph(), append(values, windowInputs(rows, tokens)...), "out")
	if err != nil {
		return nil, err
	}
	y := out["out"]
	if y == nil || y.Dim(2) < length {
		return nil, fmt.Errorf("it gave %v for a length of %d", y, length)
	}
	if y.Dim(2) == length {
		return y, nil
	}
	cut := tensor.New(rows, channels, length)
	for i := range rows * channels {
		copy(cut.Data[i*length:(i+1)*length], y.Data[i*y.Dim(2):])
	}
	return cut, nil
}

func (m *model) memory(rows, length, text int) int64 {
	tokens := (length + patchSize - 1) / patchSize
	n, rest := blocks(tokens)
	return m.activations.Of(m.graph(), map[string]int{"B": rows, "S": tokens, "T": text, "n": n, "p": rest})
}
