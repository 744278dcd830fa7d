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
	"comfygo/engine/family/t5"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(kind{}) }

// kind registers Stable Audio Open.
type kind struct{}

// Name implements family.Family.
func (kind) Name() string { return "Stable Audio" }

// Rank implements family.Family.
func (kind) Rank() int { return 220 }

// latentFormat is the format of the 64-channel VAE. Upstream: latent_formats.StableAudio1.
var latentFormat = sampling.LatentFormat{Channels: 64, Scale: 1, Downscale: 2048, Temporal: 2048, Line: true}

// config describes a network.
type config struct {
	hidden, head, depth, channels, text, global, turned int
	timeWidth                                           int
}

func dim(s *weights.Scope, name string, axis int) int {
	if sh := s.Shape(name); axis < len(sh) {
		return sh[axis]
	}
	return 0
}

// Read implements family.Diffusion.
func (kind) Read(src, whole weights.Source) (family.Denoiser, error) {
	s := weights.NewScope(src)
	if !s.Has("transformer.rotary_pos_emb.inv_freq") || s.HasAny("transformer.global_cond_embedder") || s.Has("transformer.memory_tokens") {
		return nil, nil
	}
	c, err := readConfig(s, plainHeads)
	if err != nil {
		return nil, err
	}
	m := &model{config: c, src: src}
	if m.start, err = readSeconds(whole, "conditioner.conditioners.seconds_start.embedder.embedding."); err != nil {
		return nil, err
	}
	m.total, err = readSeconds(whole, "conditioner.conditioners.seconds_total.embedder.embedding.")
	return m, err
}

// plainHeads is the number of attention heads of published models.
const plainHeads = 24

func readConfig(s *weights.Scope, heads int) (config, error) {
	c := config{
		hidden: dim(s, "to_timestep_embed.0.weight", 0), head: dim(s, "to_timestep_embed.0.weight", 0) / heads, depth: s.Count("transformer.layers"), channels: dim(s, "postprocess_conv.weight", 0),
		text: dim(s, "to_cond_embed.0.weight", 1), global: dim(s, "to_global_embed.0.weight", 1), turned: 2 * dim(s, "transformer.rotary_pos_emb.inv_freq", 0), timeWidth: dim(s, "timestep_features.weight", 0),
	}
	expo := c.timeWidth == 0 && s.HasAny("transformer.global_cond_embedder")
	if c.head == 0 || c.hidden%heads != 0 || c.head%2 != 0 || c.depth == 0 || c.channels == 0 || c.text == 0 || c.global == 0 || c.turned == 0 || c.turned > c.head || c.timeWidth == 0 && !expo || dim(s, "transformer.project_in.weight", 1) != c.channels {
		return c, fmt.Errorf("reading the shape of the network: to_timestep_embed.0.weight is %v, transformer.project_in.weight %v, to_cond_embed.0.weight %v, to_global_embed.0.weight %v, %d layers",
			s.Shape("to_timestep_embed.0.weight"), s.Shape("transformer.project_in.weight"), s.Shape("to_cond_embed.0.weight"), s.Shape("to_global_embed.0.weight"), c.depth)
	}
	return c, nil
}

// seconds embeds a time. Upstream: embedders.py NumberConditioner.
type seconds struct {
	frequencies, weight, bias []float32
}

// readSeconds reads an embedder; nil if the file has no such weights.
func readSeconds(src weights.Source, prefix string) (*seconds, error) {
	out := &seconds{}
	for name, to := range map[string]*[]float32{"0.weights": &out.frequencies, "1.weight": &out.weight, "1.bias": &out.bias} {
		e, ok := src.Lookup(prefix + name)
		if !ok {
			return nil, nil // Inputs reports it, because sampling needs it
		}
		*to = make([]float32, e.Count())
		if e.Described() {
			continue // a list of names and shapes
		}
		if err := weights.Range(*to, e, 0); err != nil {
			return nil, err
		}
	}
	if len(out.weight) != (2*len(out.frequencies)+1)*len(out.bias) {
		return nil, fmt.Errorf("%s: its shapes do not fit each other", prefix)
	}
	return out, nil
}

// longest is the upper limit of times, in seconds.
const longest = 512

// embed returns the embedding of a time in seconds.
func (s *seconds) embed(at float64) []float32 {
	return s.of(s.waves(float32(min(max(at, 0), longest) / longest)))
}

// waves are a number from 0 to 1, its sines and its cosines.
func (s *seconds) waves(x float32) []float32 {
	n := len(s.frequencies)
	in := make([]float32, 2*n+1)
	in[0] = x
	for i, f := range s.frequencies {
		angle := float64(float32(x*f*2) * math.Pi)
		in[1+i], in[1+n+i] = float32(math.Sin(angle)), float32(math.Cos(angle))
	}
	return in
}

// of is the linear layer after the waves.
func (s *seconds) of(in []float32) []float32 {
	out := make([]float32, len(s.bias))
	for i := range out {
		sum := float64(s.bias[i])
		for k, v := range in {
			sum += float64(v) * float64(s.weight[i*len(in)+k])
		}
		out[i] = float32(sum)
	}
	return out
}

// model is a diffusion model of the family.
type model struct {
	config
	src          weights.Source
	start, total *seconds

	activations family.Activations
}

var (
	_ family.Denoiser  = (*model)(nil)
	_ family.Bundle    = (*model)(nil)
	_ family.Adaptable = (*model)(nil)
)

// Latent implements family.Denoiser.
func (m *model) Latent() sampling.LatentFormat { return latentFormat }

// Sampling implements family.Denoiser.
func (m *model) Sampling() (sampling.ModelType, sampling.Settings) {
	return sampling.VPredictionContinuous, sampling.Settings{SigmaMax: 500, SigmaMin: 0.03}
}

// Weights implements family.Denoiser.
func (m *model) Weights() weights.Source { return m.src }

// Scheme implements family.Bundle.
func (m *model) Scheme() string { return "stable_audio" }

// TextPrefixes implements family.Bundle.
func (m *model) TextPrefixes() map[string][]string {
	return map[string][]string{t5.KeyBase: {"text_encoders.t5base.transformer."}}
}

// LoRAKeys implements family.Adaptable: upstream knows the generic names alone.
func (m *model) LoRAKeys(keys *patch.KeyMap, part string) { keys.AddGeneric(part, m.src.Names()) }

// inputGlobal are the embeddings of start and duration [N,2·C].
const inputGlobal = "global_embed"

// Inputs implements family.Denoiser.
func (m *model) Inputs(c *sampling.Cond, r sampling.Request) ([]sampling.Input, error) {
	if c.Tokens == nil {
		return nil, dit.ErrNoText
	}
	if len(r.Shape) != 3 {
		return nil, fmt.Errorf("sampling: the latent has shape %v, the model reads audio latents [batch,channels,length]", r.Shape)
	}
	if m.start == nil || m.total == nil {
		return nil, errors.New("reading a conditioning entry: the model has no embedders of start and duration, which lie in its checkpoint beside the diffusion model: load the file as a checkpoint")
	}
	const perSecond = 21.53
	times := [2]float64{0, math.Trunc(float64(r.Shape[2]) / perSecond)}
	for i, key := range []string{sampling.KeySecondsStart, sampling.KeySecondsTotal} {
		if _, ok := c.Values[key]; ok {
			v, err := sampling.Number(c, key)
			if err != nil {
				return nil, err
			}
			times[i] = v
		}
	}
	start, total := m.start.embed(times[0]), m.total.embed(times[1])
	width := c.Tokens.Dim(2)
	if len(c.Tokens.Shape) != 3 || width != len(start) || width != len(total) {
		return nil, fmt.Errorf("reading a conditioning entry: the text encoding has shape %v, the model reads %d values a token: it comes from the text encoder of another family", c.Tokens.Shape, len(start))
	}
	text := tensor.New(c.Tokens.Dim(0), c.Tokens.Dim(1)+2, width)
	for b := range text.Dim(0) {
		row := text.Index(b).Data
		row = row[copy(row, c.Tokens.Index(b).Data):]
		copy(row[copy(row, start):], total)
	}
	global := &tensor.Tensor{Shape: []int{1, 2 * width}, Data: append(slices.Clone(start), total...)}
	return []sampling.Input{{Name: sampling.InputContext, Value: text, Rule: sampling.ByRows}, {Name: inputGlobal, Value: global, Rule: sampling.ByRows}}, nil
}

// Predict implements family.Denoiser.
func (m *model) Predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	if err := dit.CheckLatent(c, m.channels, 3); err != nil {
		return nil, err
	}
	text, global := c.Inputs.Get(sampling.InputContext), c.Inputs.Get(inputGlobal)
	if err := dit.CheckText(text, c.X.Dim(0), m.text); err != nil {
		return nil, err
	}
	if global == nil || !slices.Equal(global.Shape, []int{c.X.Dim(0), m.global}) {
		return nil, fmt.Errorf("it needs the embeddings of start and duration, %d values a row", m.global)
	}
	if err := run.Check("running the model", m.memory(c.X.Dim(0), c.X.Dim(2), text.Dim(1))); err != nil {
		return nil, err
	}
	return m.run(ctx, run, c.X, c.T, text, global)
}

func (m *model) run(ctx context.Context, run family.Runner, x *tensor.Tensor, t []float32, text, global *tensor.Tensor) (*tensor.Tensor, error) {
	angles, err := angles(m.src, m.turned, x.Dim(2)+1)
	if err != nil {
		return nil, err
	}
	in := append([]family.Value{family.Floats("x", x), family.Vector("timesteps", t), family.Floats("context", text), family.Floats("global", global)}, angles...)
	out, err := run.Run(ctx, m.graph(), in, "out")
	return out["out"], err
}

// angles are the angles of the first values of a head, by the frequencies in the file.
func angles(src weights.Source, turned, tokens int) ([]family.Value, error) {
	freq := make([]float32, turned/2)
	if e, ok := src.Lookup("transformer.rotary_pos_emb.inv_freq"); ok && e.Data != nil {
		if err := weights.Range(freq, e, 0); err != nil {
			return nil, err
		}
	}
	cos, sin := tensor.New(1, tokens, len(freq)), tensor.New(1, tokens, len(freq))
	for i := range cos.Data {
		angle := float64(float32(i/len(freq)) * freq[i%len(freq)])
		cos.Data[i], sin.Data[i] = float32(math.Cos(angle)), float32(math.Sin(angle))
	}
	return []family.Value{family.Floats("cos", cos), family.Floats("sin", sin)}, nil
}

func (m *model) graph() family.Graph {
	return family.Graph{Part: "unet", Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("stable audio", m.src, func(b *nn.Builder, s *weights.Scope) { (&writer{b, m.config}).write(s) })
	}}
}

// Memory implements family.Denoiser.
func (m *model) Memory(shape []int, tokens int) int64 {
	return m.memory(shape[0], shape[len(shape)-1], tokens+2)
}

func (m *model) memory(rows, length, tokens int) int64 {
	return m.activations.Of(m.graph(), map[string]int{"B": rows, "L": length, "T": tokens})
}

// writer writes the graph.
type writer struct {
	*nn.Builder
	config
}

// write writes the network. Inputs: x [B,C,L], timesteps [B], context [B,T,C'], global [B,G], cos and sin [1,L+1,R/2]. Output: out
// [B,C,L]. Upstream: ldm/audio/dit.py AudioDiffusionTransformer.
func (w *writer) write(s *weights.Scope) {
	rows, length := onnx.Sym("B"), onnx.Sym("L")
	tokens := length.Plus(onnx.D(1))
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
	angles := w.Mul(w.Unsqueeze(times, 1), w.Scalar(dtype.F32, 2*math.Pi))
	waves := w.Linear(s.At("timestep_features"), w.Cast(angles, w.Target.Compute), w.timeWidth)
	global = w.Add(global, dit.MLP(w.Builder, s.At("to_timestep_embed"), w.Concat(1, w.Cos(waves), w.Sin(waves)), w.hidden, w.hidden, "0", "2"))

	x = w.Linear(s.At("transformer.project_in"), w.Transpose(x, 0, 2, 1), w.hidden)
	x = w.Concat(1, w.Unsqueeze(global, 1), x)
	for i := range w.depth {
		x = w.layer(s.At("transformer.layers").Index(i), x, text, inner, rope)
	}
	x = w.Linear(s.At("transformer.project_out"), w.SliceDims(x, 1, onnx.D(1), tokens), w.channels)
	x = w.Transpose(x, 0, 2, 1)
	dit.Output(w.Builder, "out", w.Add(x, w.Conv1d(s.At("postprocess_conv"), x, w.channels, 1, 1, onnx.WindowND{})))
}

// norm is a layer norm without a bias.
func (w *writer) norm(s *weights.Scope, x *onnx.Value) *onnx.Value {
	const epsilon = 1e-5
	w.At(s.Prefix())
	return w.Graph.LayerNorm(x, w.Table(s.Weight("gamma", w.hidden)), nil, epsilon)
}

// layer is self-attention, attention to the text and a gated feed-forward layer. Upstream: TransformerBlock.
func (w *writer) layer(s *weights.Scope, x, text *onnx.Value, width int, rope *nn.Rotary) *onnx.Value {
	h := w.hidden
	a := onnx.Attention{Heads: h / w.head, Scale: float32(1 / math.Sqrt(float64(w.head)))}
	self := s.At("self_attn")
	y := w.norm(s.At("pre_norm"), x)
	rows := func(i int) *onnx.Value { return w.LinearRows(self.At("to_qkv"), y, 3*h, i*h, h) }
	x = w.Add(x, w.Linear(self.At("to_out"), w.Attend(w.turn(rows(0), rope), w.turn(rows(1), rope), rows(2), a), h))

	cross := s.At("cross_attn")
	y = w.norm(s.At("cross_attend_norm"), x)
	a.KVHeads = width / w.head
	of := func(i int) *onnx.Value { return w.LinearRows(cross.At("to_kv"), text, 2*width, i*width, width) }
	x = w.Add(x, w.Linear(cross.At("to_out"), w.Attend(w.Linear(cross.At("to_q"), y, h), of(0), of(1), a), h))

	ff := s.At("ff.ff")
	inner := dim(ff, "2.weight", 1)
	value, gate := w.Halves(w.Linear(ff.At("0.proj"), w.norm(s.At("ff_norm"), x), 2*inner))
	return w.Add(x, w.Linear(ff.At("2"), w.SwiGLU(value, gate), h))
}

// turn rotates the first values of each head of x [B,S,heads·D].
func (w *writer) turn(x *onnx.Value, rope *nn.Rotary) *onnx.Value {
	heads := w.hidden / w.head
	if w.turned == w.head {
		return w.Rotate(x, rope, heads)
	}
	apart := w.Reshape(x, x.Dim(0), x.Dim(1), onnx.D(heads), onnx.D(w.head))
	parts := w.Split(apart, -1, w.turned, w.head-w.turned)
	first := w.Rotate(w.Reshape(parts[0], x.Dim(0), x.Dim(1), onnx.D(heads*w.turned)), rope, heads)
	joined := w.Concat(3, w.Reshape(first, x.Dim(0), x.Dim(1), onnx.D(heads), onnx.D(w.turned)), parts[1])
	return w.Reshape(joined, x.Shape...)
}
