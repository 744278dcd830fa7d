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

// avVariant distinguishes the graphs of one network of video and audio.
type avVariant struct {
	// Audio reports that there is audio beside the video, Apart that the two do not attend to each other.
	Audio, Apart bool
	// Guided reports that guides attend with strengths of their own, Marked that frames which stand alone are marked.
	Guided, Marked bool
	// Passing are blocks whose self-attention passes its values on.
	Passing []int
}

func (v avVariant) digest() string {
	return family.Digest(v.Audio, v.Apart, v.Guided, v.Marked, v.Passing)
}

// The symbols of the audio stream: groups of tokens with one timestep, and tokens of a group.
var (
	symH = onnx.Sym("H")
	symM = onnx.Sym("M")
)

// The numbers of modulations: of a stream with and without those of attention to the text, of the text, and of attention
// between the streams.
const (
	shiftedModulations = 9
	textModulations    = 2
	crossModulations   = 4
)

// avWriter writes one graph of both streams.
type avWriter struct {
	*nn.Builder
	avConfig
	v            avVariant
	video, audio *avStream
}

// avStream is one stream of tokens.
type avStream struct {
	*writer
	// x are its tokens [B,S,C], text is the text encoding that it reads.
	x, text *onnx.Value
	// times are its timesteps [B·G], time is their embedding, mods are the modulations made of it, textMods those of the text, or nil.
	times, time, mods, textMods *onnx.Value
	// cross are the modulations of attention between the streams, gate is the modulation of the values that the stream reads
	// from the other one.
	cross, gate *onnx.Value
	// shared are the angles of time alone.
	shared *nn.Rotary
	// prefix is what its layers' names begin with.
	prefix string
}

// writeAV writes a graph of the network. Inputs: video tokens x [B,G,L,C], audio tokens audio [B,H,M,C] and timesteps
// [B,G] and audiotimes [B,H] of each group of tokens; prompttimes and audioprompttimes [B] where the text is modulated, and videolast
// and audiolast [1], the last timestep of each stream; context [B,T,C'] and audiocontext; cos and sin [1,S·heads,D/2] of each stream (with the prefix
// audio) and with the prefix cross those of time alone; guideq and guidek [1,S,8]; marks [1,S]. Output: out, the tokens [B,S,C] of the video
// and then those of the audio. Upstream: ldm/lightricks/av_model.py LTXAVModel.
func writeAV(b *nn.Builder, s *weights.Scope, c avConfig, v avVariant) {
	w := &avWriter{Builder: b, avConfig: c, v: v}
	w.video = w.stream(s, "", c.config, symG, symL)
	if v.Marked {
		table := s.Weight("keyframes_abs_pos_embedding", 1, c.hidden)
		marks := dit.Input(b, "marks", onnx.D(1), w.video.x.Dim(1))
		w.video.x = b.Add(w.video.x, b.Mul(b.Unsqueeze(marks, 2), b.Reshape(b.Table(table), onnx.D(1), onnx.D(1), onnx.D(c.hidden))))
	}
	if v.Guided {
		tokens := w.video.x.Dim(1)
		w.video.queries, w.video.key = dit.Input(b, "guideq", onnx.D(1), tokens, onnx.D(extra)), dit.Input(b, "guidek", onnx.D(1), tokens, onnx.D(extra))
	}
	if v.Audio {
		w.audio = w.stream(s, "audio_", c.sound, symH, symM)
		w.crossings(s)
	}
	for i := range c.blocks {
		w.block(s.At("transformer_blocks").Index(i), slices.Contains(v.Passing, i))
	}
	out := w.last(s, w.video)
	if v.Audio {
		out = b.Concat(1, out, w.last(s, w.audio))
	}
	dit.Output(b, "out", out)
}

// name is an input's name with the prefix of a stream.
func (s *avStream) name(name string) string {
	if s.prefix == "" {
		return name
	}
	return "audio" + name
}

// stream declares the inputs of a stream and embeds them.
func (w *avWriter) stream(s *weights.Scope, prefix string, c config, groups, each onnx.Dim) *avStream {
	b, h := w.Builder, c.hidden
	st := &avStream{writer: &writer{Builder: b, config: c, groups: groups, each: each}, prefix: prefix}
	input, tokens, width := "x", groups.Times(each), h/c.heads
	if prefix != "" {
		input = "audio"
	}
	x := dit.Input(b, input, symB, groups, each, onnx.D(c.channels))
	st.x = b.Linear(s.At(prefix+"patchify_proj"), b.Reshape(x, symB, tokens, onnx.D(c.channels)), h)
	timesteps := "timesteps"
	if prefix != "" {
		timesteps = "audiotimes"
	}
	st.times = b.Reshape(b.Input(timesteps, dtype.F32, symB, groups), symB.Times(groups))
	n := modulations
	if w.shifted {
		n = shiftedModulations
	}
	st.time, st.mods = w.adaptive(s.At(prefix+"adaln_single"), st.times, float32(c.TimeScale), h, n)
	if w.shifted {
		prompt := b.Input(st.name("prompttimes"), dtype.F32, symB)
		_, st.textMods = w.adaptive(s.At(prefix+"prompt_adaln_single"), prompt, float32(c.TimeScale), h, textModulations)
	}
	turned := tokens.Times(onnx.D(c.heads))
	st.rope = c.rotary(b, st.name("cos"), st.name("sin"), turned, width)
	st.text = w.caption(s.At(prefix+"caption_projection"), st.name("context"), c)
	return st
}

// caption is the text encoding of a stream as its blocks read it.
func (w *avWriter) caption(s *weights.Scope, name string, c config) *onnx.Value {
	if w.captionsFirst {
		return dit.Input(w.Builder, name, symB, symT, onnx.D(c.text))
	}
	x := dit.Input(w.Builder, name, symB, symT, onnx.D(w.captions))
	return w.Linear(s.At("linear_2"), w.Gelu(w.Linear(s.At("linear_1"), x, c.text), true), c.text)
}

// adaptive converts timesteps to n modulations [·,n·out] and to their embedding. Upstream: AdaLayerNormSingle.
func (w *avWriter) adaptive(s *weights.Scope, times *onnx.Value, factor float32, out, n int) (embedding, mods *onnx.Value) {
	embedding = dit.TimeMLP(w.Builder, s.At("emb.timestep_embedder"), times, factor, out, "linear_1", "linear_2")
	return embedding, w.Linear(s.At("linear"), w.SiLU(embedding), n*out)
}

// crossings makes what attention between the streams is modulated by.
func (w *avWriter) crossings(s *weights.Scope) {
	b := w.Builder
	width := w.sound.hidden / w.sound.heads
	for _, at := range []struct {
		st               *avStream
		mods, gate, last string
	}{
		{w.video, "av_ca_video_scale_shift_adaln_single", "av_ca_a2v_gate_adaln_single", "audiolast"},
		{w.audio, "av_ca_audio_scale_shift_adaln_single", "av_ca_v2a_gate_adaln_single", "videolast"},
	} {
		st := at.st
		_, st.cross = w.adaptive(s.At(at.mods), st.times, float32(w.TimeScale), st.hidden, crossModulations)
		_, st.gate = w.adaptive(s.At(at.gate), b.Input(at.last, dtype.F32, onnx.D(1)), float32(w.CrossScale), st.hidden, 1)
		heads := st.x.Dim(1).Times(onnx.D(w.sound.heads))
		st.shared = w.rotary(b, st.name("crosscos"), st.name("crosssin"), heads, width)
	}
}

// table adds the given number of rows of a table, from a place on, to the modulations of a stream.
func (w *avWriter) table(r *weights.Ref, mods *onnx.Value, all, from, n int) []*onnx.Value {
	parts := w.Chunks(mods, all)
	out := make([]*onnx.Value, n)
	for i := range out {
		out[i] = w.Add(parts[from+i], dit.TableRows(w.Builder, r, from+i, 1))
	}
	return out
}

// attention describes a layer in which tokens x attend to context, with inner values in the given number of heads.
type attention struct {
	x, context     *onnx.Value
	inner, heads   int
	rope, keys     *nn.Rotary
	pass, once     bool
	queries, extra *onnx.Value
}

// attend is attention with the norms of queries and keys and a gate for each head, for tokens with the given number of
// values. Upstream: CrossAttention.
func (w *avWriter) attend(s *weights.Scope, a attention) *onnx.Value {
	out := a.x.Dim(2).N
	key := w.Linear
	if a.once {
		key = w.LinearOnce
	}
	y := key(s.At("to_v"), a.context, a.inner)
	if !a.pass {
		q := w.RMSNorm(s.At("q_norm"), w.Linear(s.At("to_q"), a.x, a.inner), normEpsilon)
		k := w.RMSNorm(s.At("k_norm"), key(s.At("to_k"), a.context, a.inner), normEpsilon)
		if a.rope != nil {
			q, k = turn(w.Builder, q, a.rope, a.heads), turn(w.Builder, k, a.keys, a.heads)
		}
		if a.queries != nil {
			q, k = appendHeads(w.Builder, q, a.queries, a.heads), appendHeads(w.Builder, k, a.extra, a.heads)
		}
		y = w.Attend(q, k, y, onnx.Attention{Heads: a.heads, Scale: float32(1 / math.Sqrt(float64(a.inner/a.heads)))})
	}
	if s.Has("to_gate_logits.weight") {
		gates := w.Mul(w.Sigmoid(w.Linear(s.At("to_gate_logits"), a.x, a.heads)), w.Const(2))
		apart := w.Reshape(y, y.Dim(0), y.Dim(1), onnx.D(a.heads), onnx.D(a.inner/a.heads))
		y = w.Reshape(w.Mul(apart, w.Unsqueeze(gates, 3)), y.Shape...)
	}
	return w.Linear(s.At("to_out.0"), y, out)
}

// block writes one layer of both streams. Upstream: BasicAVTransformerBlock.
func (w *avWriter) block(s *weights.Scope, pass bool) {
	streams := []*avStream{w.video}
	if w.v.Audio {
		streams = append(streams, w.audio)
	}
	mods := make([][]*onnx.Value, len(streams))
	for i, st := range streams {
		n := modulations
		if w.shifted {
			n = shiftedModulations
		}
		mods[i] = w.table(s.Weight(st.prefix+"scale_shift_table", n, st.hidden), st.mods, n, 0, n)
		w.read(s, st, mods[i], pass)
	}
	if w.v.Audio && !w.v.Apart {
		w.exchange(s)
	}
	for i, st := range streams {
		st.x = st.gated(st.x, st.feedForward(s.At(st.prefix+"ff"), st.modulated(st.x, mods[i][3], mods[i][4])), mods[i][5])
	}
}

// read is self-attention of a stream and attention to the text.
func (w *avWriter) read(s *weights.Scope, st *avStream, m []*onnx.Value, pass bool) {
	x := st.modulated(st.x, m[0], m[1])
	st.x = st.gated(st.x, w.attend(s.At(st.prefix+"attn1"), attention{
		x: x, context: x, inner: st.hidden, heads: st.heads, rope: st.rope, keys: st.rope, pass: pass, queries: st.queries, extra: st.key,
	}), m[2])
	to := s.At(st.prefix + "attn2")
	if !w.shifted {
		st.x = w.Add(st.x, w.attend(to, attention{x: st.rms(st.x), context: st.text, inner: st.hidden, heads: st.heads, once: true}))
		return
	}
	t := w.table(s.Weight(st.prefix+"prompt_scale_shift_table", textModulations, st.hidden), st.textMods, textModulations, 0, textModulations)
	text := w.Add(w.Mul(st.text, w.Add(t[1], w.Const(1))), t[0])
	y := w.attend(to, attention{x: st.modulated(st.x, m[6], m[7]), context: text, inner: st.hidden, heads: st.heads})
	st.x = st.gated(st.x, y, m[8])
}

// exchange is attention of the video to the audio, and then of the audio to the video.
func (w *avWriter) exchange(s *weights.Scope) {
	v, a := w.video, w.audio
	sound := a.x // as it was before either reads the other
	const last = crossModulations + 1
	tables := map[*avStream]*weights.Ref{
		v: s.Weight("scale_shift_table_a2v_ca_video", last, v.hidden), a: s.Weight("scale_shift_table_a2v_ca_audio", last, a.hidden),
	}
	// modulated takes the scale and the shift from a place on.
	modulated := func(st *avStream, x *onnx.Value, from int) *onnx.Value {
		m := w.table(tables[st], st.cross, crossModulations, from, 2)
		return st.modulated(x, m[1], m[0])
	}
	for i, at := range []struct {
		name     string
		to, from *avStream
	}{{"audio_to_video_attn", v, a}, {"video_to_audio_attn", a, v}} {
		x := map[*avStream]*onnx.Value{v: modulated(v, v.x, 2*i), a: modulated(a, sound, 2*i)}
		y := w.attend(s.At(at.name), attention{
			x: x[at.to], context: x[at.from], inner: w.sound.hidden, heads: w.sound.heads, rope: at.to.shared, keys: at.from.shared,
		})
		gate := w.Add(w.Unsqueeze(at.to.gate, 1), dit.TableRows(w.Builder, tables[at.to], crossModulations, 1))
		at.to.x = w.Add(at.to.x, w.Mul(y, gate))
	}
}

// last computes the values of a stream's tokens.
func (w *avWriter) last(s *weights.Scope, st *avStream) *onnx.Value {
	table := s.Weight(st.prefix+"scale_shift_table", 2, st.hidden)
	row := func(i int) *onnx.Value { return w.Add(w.Unsqueeze(st.time, 1), dit.TableRows(w.Builder, table, i, 1)) }
	x := st.grouped(st.x, func(x *onnx.Value) *onnx.Value { return w.Modulate(x, row(0), row(1), epsilon) })
	return w.Linear(s.At(st.prefix+"proj_out"), x, st.channels)
}
