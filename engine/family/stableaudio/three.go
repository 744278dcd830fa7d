package stableaudio

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(threeKind{}) }

// threeKind registers Stable Audio 3.
type threeKind struct{}

// Name implements family.Family.
func (threeKind) Name() string { return "Stable Audio 3" }

// Rank implements family.Family.
func (threeKind) Rank() int { return 210 }

// latentFormat3 is the format of the 256-channel VAE. Upstream: latent_formats.StableAudio3.
var latentFormat3 = sampling.LatentFormat{Channels: 256, Scale: 1, Downscale: 4096, Temporal: 4096, Line: true}

const (
	// longest3 is the upper limit of durations, in seconds.
	longest3 = 384
	// textTokens3 is the number of tokens to which a text is padded.
	textTokens3 = 256
	// expoWidth is the number of waves of numbers whose frequencies grow exponentially.
	expoWidth  = 256
	conditions = "conditioner.conditioners."
)

// three is a diffusion model of the family.
type three struct {
	dit.Head
	config
	// memory is the number of learned tokens before those of the latent, local the number of channels that each layer adds, 0 for none.
	memory, local int
	// twice reports that attention is the difference of two.
	twice   bool
	seconds *seconds
	padding []float32

	activations family.Activations
}

// Read implements family.Diffusion.
func (threeKind) Read(src, whole weights.Source) (family.Denoiser, error) {
	s := weights.NewScope(src)
	if !s.Has("transformer.rotary_pos_emb.inv_freq") || !s.HasAny("transformer.global_cond_embedder") {
		return nil, nil
	}
	head := dim(s, "transformer.layers.0.self_attn.q_norm.gamma", 0)
	hidden := dim(s, "to_timestep_embed.0.weight", 0)
	if head == 0 || hidden%head != 0 {
		return nil, fmt.Errorf("reading the shape of the network: to_timestep_embed.0.weight is %v, transformer.layers.0.self_attn.q_norm.gamma %v: known are norms of queries and keys by their root mean square",
			s.Shape("to_timestep_embed.0.weight"), s.Shape("transformer.layers.0.self_attn.q_norm.gamma"))
	}
	c, err := readConfig(s, hidden/head)
	if err != nil {
		return nil, err
	}
	m := &three{
		Head:   dit.Head{Source: src, Format: latentFormat3, Type: sampling.Flow, Settings: sampling.Settings{Shift: 2, Multiplier: 1}, Loader: scheme3, Encoders: []string{keyGemma}, Types: []dtype.DType{dtype.F16, dtype.BF16, dtype.F32}},
		config: c, memory: dim(s, "transformer.memory_tokens", 0), local: dim(s, "transformer.layers.0.to_local_embed.0.weight", 1), twice: dim(s, "transformer.layers.0.self_attn.to_qkv.weight", 0) == 5*hidden,
	}
	if m.local > 0 && m.local != c.channels+1 {
		return nil, fmt.Errorf("reading the shape of the network: its layers read %d channels of given audio, wanted a mask and %d", m.local, c.channels)
	}
	if m.seconds, err = readSeconds(whole, conditions+"seconds_total.embedder.embedding."); err == nil && m.seconds == nil {
		m.seconds, err = readExpo(whole, conditions+"seconds_total.embedder.embedding.")
	}
	if err != nil {
		return nil, err
	}
	if e, ok := whole.Lookup(conditions + "prompt.padding_embedding"); ok {
		m.padding = make([]float32, e.Count())
		if e.Data != nil {
			err = weights.Range(m.padding, e, 0)
		}
	}
	return m, err
}

// readExpo reads an embedder whose frequencies are not stored; nil if the file has no such weights.
func readExpo(src weights.Source, prefix string) (*seconds, error) {
	weight, ok := src.Lookup(prefix + "1.weight")
	bias, also := src.Lookup(prefix + "1.bias")
	if !ok || !also {
		return nil, nil
	}
	if weight.Count() != expoWidth*bias.Count() {
		return nil, fmt.Errorf("%s: its shapes do not fit each other", prefix)
	}
	out := &seconds{weight: make([]float32, weight.Count()), bias: make([]float32, bias.Count())}
	if weight.Described() {
		return out, nil // a list of names and shapes
	}
	return out, errors.Join(weights.Range(out.weight, weight, 0), weights.Range(out.bias, bias, 0))
}

// expo are the cosines and sines of a number at frequencies from 1/2 to 10000. Upstream: embedders.py ExpoFourierFeatures.
func expo(x float32) []float32 {
	out := make([]float32, expoWidth)
	for i, f := range expoFrequencies() {
		angle := x * f
		angle *= 2
		angle *= math.Pi
		out[i], out[expoWidth/2+i] = float32(math.Cos(float64(angle))), float32(math.Sin(float64(angle)))
	}
	return out
}

// expoFrequencies are computed in float32 step by step like torch's, because the highest waves turn ten thousand times.
func expoFrequencies() []float32 {
	const low, high, n = 0.5, 10000, expoWidth / 2
	step := float32(1) / (n - 1)
	span, least := float32(math.Log(high)-math.Log(low)), float32(math.Log(low))
	out := make([]float32, n)
	for i := range out {
		ramp := step * float32(i)
		if i >= n/2 {
			ramp = 1 - step*float32(n-1-i)
		}
		exponent := ramp * span
		exponent += least
		out[i] = float32(math.Exp(float64(exponent)))
	}
	return out
}

// duration is the embedding of a duration in seconds.
func (m *three) duration(at float64) []float32 {
	x := float32(min(max(at, 0), longest3) / longest3)
	if m.seconds.frequencies != nil {
		return m.seconds.of(m.seconds.waves(x))
	}
	return m.seconds.of(expo(x))
}

const inputLocal = "local_add_cond"

// Inputs implements family.Denoiser.
func (m *three) Inputs(c *sampling.Cond, r sampling.Request) ([]sampling.Input, error) {
	if c.Tokens == nil {
		return nil, dit.ErrNoText
	}
	if len(r.Shape) != 3 {
		return nil, fmt.Errorf("sampling: the latent has shape %v, the model reads audio latents [batch,channels,length]", r.Shape)
	}
	if m.seconds == nil {
		return nil, errors.New("reading a conditioning entry: the model has no embedder of the duration, which lies in its checkpoint beside the diffusion model: load the file as a checkpoint")
	}
	const perSecond = 10.7666
	total := math.Trunc(float64(r.Shape[2]) / perSecond)
	if _, ok := c.Values[sampling.KeySecondsTotal]; ok {
		var err error
		if total, err = sampling.Number(c, sampling.KeySecondsTotal); err != nil {
			return nil, err
		}
	}
	seconds := m.duration(total)
	width := c.Tokens.Dim(-1)
	if len(c.Tokens.Shape) != 3 || width != len(seconds) || m.padding != nil && len(m.padding) != width {
		return nil, fmt.Errorf("reading a conditioning entry: the text encoding has shape %v, the model reads %d values a token: it comes from the text encoder of another family", c.Tokens.Shape, len(seconds))
	}
	n := c.Tokens.Dim(1)
	if m.padding != nil {
		n = max(n, textTokens3)
	}
	text := tensor.New(c.Tokens.Dim(0), n+1, width)
	for b := range text.Dim(0) {
		row := text.Index(b).Data
		at := copy(row, c.Tokens.Index(b).Data)
		for ; at < n*width; at += width {
			copy(row[at:], m.padding)
		}
		copy(row[at:], seconds)
	}
	in := []sampling.Input{{Name: sampling.InputContext, Value: text, Rule: sampling.ByRows}, {Name: inputGlobal, Value: &tensor.Tensor{Shape: []int{1, width}, Data: seconds}, Rule: sampling.ByRows}}
	if m.local == 0 {
		return in, nil
	}
	given, err := m.given(c, r)
	return append(in, sampling.Input{Name: inputLocal, Value: given, Rule: sampling.ByCells}), err
}

// given is the audio that is not made anew after a mask that is 1 where it is kept. Upstream: StableAudio3.concat_cond.
func (m *three) given(c *sampling.Cond, r sampling.Request) (*tensor.Tensor, error) {
	audio, err := sampling.Value[*tensor.Tensor](c, sampling.KeyConcatLatent)
	if err != nil {
		return nil, err
	}
	mask, err := sampling.Value[*tensor.Tensor](c, sampling.KeyConcatMask)
	if err != nil {
		return nil, err
	}
	if mask == nil {
		mask = r.Mask
	}
	rows, length := r.Shape[0], r.Shape[2]
	out := tensor.New(rows, m.local, length)
	for _, part := range []struct {
		what string
		x    *tensor.Tensor
	}{{sampling.KeyConcatMask, mask}, {sampling.KeyConcatLatent, audio}} {
		if x := part.x; x != nil && (len(x.Shape) != 3 || x.Len() == 0 || x.Dim(2) != length || part.what == sampling.KeyConcatLatent && x.Dim(1) != m.channels) {
			return nil, fmt.Errorf("reading the conditioning's %s: shape %v does not fit audio latents of shape %v", part.what, x.Shape, r.Shape)
		}
	}
	for b := range rows {
		row := out.Index(b).Data
		if mask != nil {
			of := mask.Index(b % mask.Dim(0)).Data
			for i := range length {
				sum := 0.0
				for ch := range mask.Dim(1) {
					sum += float64(of[ch*length+i])
				}
				row[i] = 1 - float32(sum/float64(mask.Dim(1)))
			}
		}
		if audio != nil {
			copy(row[length:], audio.Index(b%audio.Dim(0)).Data)
		}
	}
	return out, nil
}

// Predict implements family.Denoiser.
func (m *three) Predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	if err := dit.CheckLatent(c, m.channels, 3); err != nil {
		return nil, err
	}
	rows := c.X.Dim(0)
	text, global, local := c.Inputs.Get(sampling.InputContext), c.Inputs.Get(inputGlobal), c.Inputs.Get(inputLocal)
	if err := dit.CheckText(text, rows, m.text); err != nil {
		return nil, err
	}
	if global == nil || !slices.Equal(global.Shape, []int{rows, m.global}) {
		return nil, fmt.Errorf("it needs the embedding of the duration, %d values a row", m.global)
	}
	if m.local > 0 && (local == nil || !slices.Equal(local.Shape, []int{rows, m.local, c.X.Dim(2)})) {
		return nil, fmt.Errorf("it needs the given audio and its mask, %d channels", m.local)
	}
	if err := run.Check("running the model", m.bytes(rows, c.X.Dim(2), text.Dim(1))); err != nil {
		return nil, err
	}
	return m.run(ctx, run, c.X, c.T, text, global, local)
}

func (m *three) run(ctx context.Context, run family.Runner, x *tensor.Tensor, t []float32, text, global, local *tensor.Tensor) (*tensor.Tensor, error) {
	angles, err := angles(m.Source, m.turned, x.Dim(2)+m.memory)
	if err != nil {
		return nil, err
	}
	in := append([]family.Value{family.Floats("x", x), family.Vector("timesteps", t), family.Floats("context", text), family.Floats("global", global)}, angles...)
	if m.local > 0 {
		in = append(in, family.Floats("local", local))
	}
	if m.timeWidth == 0 {
		in = append(in, family.Vector("frequencies", expoFrequencies()))
	}
	out, err := run.Run(ctx, m.graph(), in, "out")
	return out["out"], err
}

func (m *three) graph() family.Graph {
	return family.Graph{Part: "unet", Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("stable audio 3", m.Source, func(b *nn.Builder, s *weights.Scope) { (&writer3{writer{b, m.config}, m}).write(s) })
	}}
}

// Memory implements family.Denoiser.
func (m *three) Memory(shape []int, tokens int) int64 {
	return m.bytes(shape[0], shape[len(shape)-1], max(tokens, textTokens3)+1)
}

func (m *three) bytes(rows, length, tokens int) int64 {
	return m.activations.Of(m.graph(), map[string]int{"B": rows, "L": length, "T": tokens})
}

// writer3 writes the graph.
type writer3 struct {
	writer
	m *three
}

// write writes the network. Inputs: x [B,C,L], timesteps [B], context [B,T,C'], global [B,G], cos and sin [1,M+L,R/2], local [B,C+1,L] where the network reads
// given audio, frequencies [F/2] where it has none of its own. Output: out [B,C,L]. Upstream: ldm/audio/dit.py AudioDiffusionTransformer.
func (w *writer3) write(s *weights.Scope) {
	rows, length := onnx.Sym("B"), onnx.Sym("L")
	tokens := length.Plus(onnx.D(w.m.memory))
	x := dit.Input(w.Builder, "x", rows, onnx.D(w.channels), length)
	x = w.Add(x, w.Conv1d(s.At("preprocess_conv"), x, w.channels, 1, 1, onnx.WindowND{}))
	times := w.Input("timesteps", dtype.F32, rows)
	text := dit.Input(w.Builder, "context", rows, onnx.Sym("T"), onnx.D(w.text))
	global := dit.Input(w.Builder, "global", rows, onnx.D(w.global))
	half := onnx.D(w.turned / 2)
	rope := &nn.Rotary{Cos: dit.Input(w.Builder, "cos", onnx.D(1), tokens, half), Sin: dit.Input(w.Builder, "sin", onnx.D(1), tokens, half)}

	inner := dim(s, "to_cond_embed.0.weight", 0)
	text = dit.MLP(w.Builder, s.At("to_cond_embed"), text, inner, inner, "0", "2")
	global = dit.MLP(w.Builder, s.At("to_global_embed"), global, w.hidden, w.hidden, "0", "2")
	global = w.Add(global, dit.MLP(w.Builder, s.At("to_timestep_embed"), w.waves(s, times), w.hidden, w.hidden, "0", "2"))
	global = w.Unsqueeze(dit.MLP(w.Builder, s.At("transformer.global_cond_embedder"), global, w.hidden, gates*w.hidden, "0", "2"), 1)

	x = w.Linear(s.At("transformer.project_in"), w.Transpose(x, 0, 2, 1), w.hidden)
	if w.m.memory > 0 {
		learned := w.Table(s.Weight("transformer.memory_tokens", w.m.memory, w.hidden))
		x = w.Concat(1, w.Expand(learned, rows, onnx.D(w.m.memory), onnx.D(w.hidden)), x)
	}
	var local *onnx.Value
	if w.m.local > 0 {
		local = w.Transpose(dit.Input(w.Builder, "local", rows, onnx.D(w.m.local), length), 0, 2, 1)
	}
	for i := range w.depth {
		x = w.layer(s.At("transformer.layers").Index(i), x, text, global, local, inner, rope)
	}
	x = w.Linear(s.At("transformer.project_out"), w.SliceDims(x, 1, onnx.D(w.m.memory), tokens), w.channels)
	x = w.Transpose(x, 0, 2, 1)
	dit.Output(w.Builder, "out", w.Add(x, w.Conv1d(s.At("postprocess_conv"), x, w.channels, 1, 1, onnx.WindowND{})))
}

// waves are the cosines and sines of the timesteps.
func (w *writer3) waves(s *weights.Scope, times *onnx.Value) *onnx.Value {
	var angles *onnx.Value
	if w.timeWidth > 0 {
		turns := w.Mul(w.Unsqueeze(times, 1), w.Scalar(dtype.F32, 2*math.Pi))
		angles = w.Linear(s.At("timestep_features"), w.Cast(turns, w.Target.Compute), w.timeWidth)
	} else {
		turns := w.Mul(w.Unsqueeze(times, 1), w.Unsqueeze(w.Input("frequencies", dtype.F32, onnx.D(expoWidth/2)), 0))
		angles = w.Mul(w.Mul(turns, w.Scalar(dtype.F32, 2)), w.Scalar(dtype.F32, math.Pi))
	}
	return w.Cast(w.Concat(1, w.Cos(angles), w.Sin(angles)), w.Target.Compute)
}

// gates are the parts of a layer's modulation: scale, shift and gate of self-attention, and of the feed-forward layer.
const gates = 6

// layer is self-attention and a gated feed-forward layer, both modulated, with attention to the text and the given audio between them.
func (w *writer3) layer(s *weights.Scope, x, text, global, local *onnx.Value, width int, rope *nn.Rotary) *onnx.Value {
	h := w.hidden
	mods := w.Split(w.Add(global, w.Table(s.Weight("to_scale_shift_gate", gates*h))), -1, h, h, h, h, h, h)
	norm := func(name string) *onnx.Value { return w.rms(s.At(name), x, h) }
	modulated := func(name string, first int) *onnx.Value {
		return w.Add(w.Mul(norm(name), w.Add(mods[first], w.Const(1))), mods[first+1])
	}
	add := func(y *onnx.Value, gate int) *onnx.Value {
		return w.Add(x, w.Mul(y, w.Sigmoid(w.Sub(w.Const(1), mods[gate]))))
	}

	self, y := s.At("self_attn"), modulated("pre_norm", 0)
	parts := 3
	if w.m.twice {
		parts = 5
	}
	rows := func(i int) *onnx.Value { return w.LinearRows(self.At("to_qkv"), y, parts*h, i*h, h) }
	turned := func(norm string, i int) *onnx.Value { return w.turn(w.heads(self.At(norm), rows(i)), rope) }
	a := onnx.Attention{Heads: h / w.head, Scale: float32(1 / math.Sqrt(float64(w.head)))}
	v := rows(2)
	out := w.Attend(turned("q_norm", 0), turned("k_norm", 1), v, a)
	if w.m.twice {
		out = w.Sub(out, w.Attend(turned("q_norm", 3), turned("k_norm", 4), v, a))
	}
	x = add(w.Linear(self.At("to_out"), out, h), 2)

	cross, y := s.At("cross_attn"), norm("cross_attend_norm")
	a.KVHeads = width / w.head
	queries, keys := 1, 2
	if w.m.twice {
		queries, keys = 2, 3
	}
	q := func(i int) *onnx.Value {
		return w.heads(cross.At("q_norm"), w.LinearRows(cross.At("to_q"), y, queries*h, i*h, h))
	}
	kv := func(i int) *onnx.Value { return w.LinearRows(cross.At("to_kv"), text, keys*width, i*width, width) }
	k := func(i int) *onnx.Value { return w.heads(cross.At("k_norm"), kv(i)) }
	v = kv(keys - 1)
	out = w.Attend(q(0), k(0), v, a)
	if w.m.twice {
		out = w.Sub(out, w.Attend(q(1), k(1), v, a))
	}
	x = w.Add(x, w.Linear(cross.At("to_out"), out, h))

	if local != nil {
		added := dit.MLP(w.Builder, s.At("to_local_embed"), local, h, h, "0", "2")
		if w.m.memory > 0 {
			added = w.PadAxes(added, onnx.Zeros, []int{0, w.m.memory, 0}, []int{0, 0, 0})
		}
		x = w.Add(x, added)
	}
	ff := s.At("ff.ff")
	inner := dim(ff, "2.weight", 1)
	value, gate := w.Halves(w.Linear(ff.At("0.proj"), modulated("ff_norm", 3), 2*inner))
	return add(w.Linear(ff.At("2"), w.SwiGLU(value, gate), h), 5)
}

// rms is a norm by the root mean square.
func (w *writer3) rms(s *weights.Scope, x *onnx.Value, width int) *onnx.Value {
	w.At(s.Prefix())
	return w.Graph.RMSNorm(x, w.Table(s.Weight("gamma", width)), dit.F32Epsilon)
}

// heads is rms of each head.
func (w *writer3) heads(s *weights.Scope, x *onnx.Value) *onnx.Value {
	apart := w.Reshape(x, x.Dim(0), x.Dim(1), onnx.D(x.Dim(2).N/w.head), onnx.D(w.head))
	return w.Reshape(w.rms(s, apart, w.head), x.Shape...)
}
