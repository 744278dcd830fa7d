package minimaxh3

import (
	"comfygo/engine/dtype"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

type writer struct {
	*nn.Builder
	config

	// time is the embedding of each timestep, index the row of the modulations that each token reads.
	time, index *onnx.Value
	rope        *nn.Rotary
}

// refiner writes the network that converts the text encoding: input context [1,T,text], output out [1,T,width]. Upstream: TokenRefiner.
func (w *writer) refiner(s *weights.Scope) {
	x := w.Linear(s.At("condition_proj"), dit.Input(w.Builder, "context", onnx.D(1), onnx.Sym("T"), onnx.D(w.Text)), w.Width)
	r := s.At("token_refiner")
	for i := range w.Refiner {
		b := r.At("blocks").Index(i)
		x = w.Add(x, w.attention(b.At("attn"), w.RMSNorm(b.At("norm1"), x, w.Epsilon)))
		x = w.Add(x, w.feedForward(b.At("mlp"), w.RMSNorm(b.At("norm2"), x, w.Epsilon)))
	}
	dit.Output(w.Builder, "out", w.RMSNorm(r.At("final_norm"), x, w.LastEpsilon))
}

// write writes the network. Inputs: text [1,T,width], video [1,V,values] and audio [1,A,channels]; order [S], S = T+V+A, the place of each token of the
// sequence among text, video and audio; index [S], three times the number of a token's timestep and its kind; time [M], or [M,width] for
// networks with a table of embeddings; cosines and sines [1,S,D/2] of positions; made_video [N] and made_audio [U], the places of the tokens that are made, and
// time_video and time_audio, the numbers of their timesteps. Outputs: video_out [1,N,values] and audio_out [1,U,channels]. Upstream:
// MiniMaxH3Model._forward.
func (w *writer) write(s *weights.Scope) {
	one, t, v, a := onnx.D(1), onnx.Sym("T"), onnx.Sym("V"), onnx.Sym("A")
	all := t.Plus(v).Plus(a)
	values := w.Video * patchSide * patchSide
	text := dit.Input(w.Builder, "text", one, t, onnx.D(w.Width))
	video := w.Linear(s.At("video_patch_proj"), dit.Input(w.Builder, "video", one, v, onnx.D(values)), w.Width)
	audio := w.Linear(s.At("audio_patch_proj"), dit.Input(w.Builder, "audio", one, a, onnx.D(w.Audio)), w.Width)
	x := w.GatherAxis(w.Concat(1, text, video, audio), w.Input("order", dtype.I64, all), 1)
	w.index = w.Input("index", dtype.I64, all)
	half := onnx.D(axes * w.Turned)
	w.rope = &nn.Rotary{Cos: dit.Input(w.Builder, "cos", one, all, half), Sin: dit.Input(w.Builder, "sin", one, all, half)}
	w.embedTime(s)
	for i := range w.Layers {
		x = w.block(s.At("blocks").Index(i), x)
	}
	last := s.At("final_layer")
	mods := w.modulations(last.At("adaln_proj"), 2, 1)
	for _, made := range []struct {
		name  string
		count onnx.Dim
		out   int
	}{{"video", onnx.Sym("N"), values}, {"audio", onnx.Sym("U"), w.Audio}} {
		at, number := w.Input("made_"+made.name, dtype.I64, made.count), w.Input("time_"+made.name, dtype.I64, made.count)
		y := w.shifted(w.RMSNorm(last.At("norm"), w.GatherAxis(x, at, 1), w.LastEpsilon), mods[0], mods[1], number)
		dit.Output(w.Builder, made.name+"_out", w.Linear(last.At(made.name+"_out"), y, made.out))
	}
}

// embedTime embeds the timesteps.
func (w *writer) embedTime(s *weights.Scope) {
	m := onnx.Sym("M")
	if w.Curve > 0 {
		w.time = dit.Input(w.Builder, "time", m, onnx.D(w.Time))
		return
	}
	e := s.At("time_embedder")
	x := w.TimestepEmbedding(w.Input("time", dtype.F32, m), w.Frequencies)
	w.time = w.SiLU(dit.MLP(w.Builder, e, x, w.TimeInner, w.Time, "proj_in", "proj_out"))
}

// modulations are n tables [M·kinds,width] of what tokens are modulated by. Upstream: AdalnProj.
func (w *writer) modulations(s *weights.Scope, n, kinds int) []*onnx.Value {
	all := w.Linear(s.At("linear"), w.time, n*w.Width*kinds)
	sizes := make([]int, n)
	for i := range sizes {
		sizes[i] = w.Width
	}
	return w.Split(w.Reshape(all, onnx.Sym("M").Times(onnx.D(kinds)), onnx.D(n*w.Width)), 1, sizes...)
}

// of takes the rows of a table for tokens: [1,S,width].
func (w *writer) of(table, index *onnx.Value) *onnx.Value {
	return w.Unsqueeze(w.Gather(table, index), 0)
}

// shifted is x·(1+scale)+shift.
func (w *writer) shifted(x, shift, scale, index *onnx.Value) *onnx.Value {
	return w.Add(w.Mul(x, w.Add(w.of(scale, index), w.Const(1))), w.of(shift, index))
}

// block is one layer. Upstream: DiTBlock.
func (w *writer) block(s *weights.Scope, x *onnx.Value) *onnx.Value {
	m := w.modulations(s.At("adaln_proj"), 6, modalities)
	y := w.attention(s.At("attn"), w.shifted(w.RMSNorm(s.At("norm1"), x, w.Epsilon), m[0], m[1], w.index))
	x = w.Add(x, w.Mul(y, w.of(m[2], w.index)))
	y = w.feedForward(s.At("mlp"), w.shifted(w.RMSNorm(s.At("norm2"), x, w.Epsilon), m[3], m[4], w.index))
	return w.Add(x, w.Mul(y, w.of(m[5], w.index)))
}

// attention is self-attention, with rotary positions where the writer has some.
func (w *writer) attention(s *weights.Scope, x *onnx.Value) *onnx.Value {
	inner := w.Heads * w.Head
	rows := func(i int) *onnx.Value { return w.LinearRows(s.At("qkv_proj"), x, 3*inner, i*inner, inner) }
	q := w.turn(w.HeadRMSNorm(s.At("q_norm"), rows(0), w.Heads, w.HeadEpsilon))
	k := w.turn(w.HeadRMSNorm(s.At("k_norm"), rows(1), w.Heads, w.HeadEpsilon))
	y := w.Attend(q, k, rows(2), onnx.Attention{Heads: w.Heads, Scale: scaleOf(w.Head)})
	return w.Linear(s.At("out_proj"), y, w.Width)
}

// turn rotates the first values of each head of x [1,S,heads·D].
func (w *writer) turn(x *onnx.Value) *onnx.Value {
	turned := 2 * axes * w.Turned
	if w.rope == nil || turned == w.Head {
		return w.Rotate(x, w.rope, w.Heads)
	}
	apart := w.Reshape(x, x.Dim(0), x.Dim(1), onnx.D(w.Heads), onnx.D(w.Head))
	parts := w.Split(apart, -1, turned, w.Head-turned)
	first := w.Rotate(w.Reshape(parts[0], x.Dim(0), x.Dim(1), onnx.D(w.Heads*turned)), w.rope, w.Heads)
	return w.Reshape(w.Concat(3, w.Reshape(first, x.Dim(0), x.Dim(1), onnx.D(w.Heads), onnx.D(turned)), parts[1]), x.Shape...)
}

// feedForward is a gated feed-forward layer.
func (w *writer) feedForward(s *weights.Scope, x *onnx.Value) *onnx.Value {
	gate, value := w.Halves(w.Linear(s.At("fc1"), x, 2*w.Inner))
	return w.Linear(s.At("fc2"), w.SwiGLU(value, gate), w.Width)
}
