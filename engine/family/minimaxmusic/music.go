// Package minimaxmusic is the family of MiniMax Music 3: a language model writes the codes of a song frame by frame, and a diffusion model makes the
// latents of audio from its states.
package minimaxmusic

import (
	"context"
	"errors"
	"fmt"
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(kind{}) }

// kind registers the family.
type kind struct{}

// Name implements family.Family.
func (kind) Name() string { return "MiniMax Music 3" }

// Rank implements family.Family.
func (kind) Rank() int { return 790 }

const (
	// channels are the channels of a latent, hop the samples of one of its values.
	channels = 128
	hop      = 512
	// headWidth is the width of an attention head.
	headWidth = 64
	// windowFrames is the number of frames of the song that are made at once, stepFrames the distance of these windows.
	windowFrames = 200
	stepFrames   = 100
)

// latentLength is the number of latent values of a number of frames of a song. Upstream: dit.py latent_length.
func latentLength(frames int) int { return max(1, int(float64(frames)*44100/24000*960/hop)) }

// config describes a network.
type config struct {
	// Width is the width of a token, Layers the number of blocks, Inner the width inside feed-forward layers.
	Width, Layers, Inner int
	// States is the number of states of a frame, State their width, Condition the width of what is made of them.
	States, State, Condition int
	// Frequencies are those of timesteps, Turned those of positions.
	Frequencies, Turned int
}

const (
	keyLogits = "cond_layer_logits"
	keyScale  = "cond_layer_scale"
	keyTimes  = "diffusion_transformer.timestep_features.weight"
	keyTurns  = "diffusion_transformer.transformer.rotary_pos_emb.inv_freq"
)

// Read implements family.Diffusion. Upstream: model_detection.py detect_unet_config.
func (kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	s := weights.NewScope(src)
	t := s.At("diffusion_transformer", "transformer")
	if !s.Has(keyLogits) || !s.Has("latent_conditioners.0.weight") || !t.Has("layers.0.self_attn.to_qkv.weight") {
		return nil, nil
	}
	in, conv, logits := t.Shape("project_in.weight"), s.Shape("latent_conditioners.0.weight"), s.Shape(keyLogits)
	ff, times, turns := t.Shape("layers.0.ff.ff.2.weight"), s.Shape(keyTimes), s.Shape(keyTurns)
	if len(in) != 2 || len(conv) != 3 || len(logits) != 1 || len(ff) != 2 || len(times) != 2 || len(turns) != 1 || in[0]%headWidth != 0 || in[1] != 2*channels+conv[0] || 2*turns[0] > headWidth {
		return nil, fmt.Errorf("reading the shape of the network: project_in.weight is %v, latent_conditioners.0.weight %v, %s %v, ff.2.weight %v, timestep_features.weight %v, inv_freq %v: wanted heads of %d values and latents of %d channels twice beside the condition", in, conv, keyLogits, logits, ff, times, turns, headWidth, channels)
	}
	c := config{Width: in[0], Layers: t.Count("layers"), Inner: ff[1], States: logits[0], State: conv[1], Condition: conv[0], Frequencies: times[0], Turned: turns[0]}
	return &model{config: c, Head: dit.Head{
		Source: src, Format: sampling.LatentFormat{Channels: channels, Scale: 1, Temporal: hop, Line: true}, Type: sampling.Flow, Settings: sampling.Settings{Multiplier: 1},
		Loader: loader, Types: []dtype.DType{dtype.F16, dtype.BF16, dtype.F32},
	}}, nil
}

// model is a diffusion model of the family.
type model struct {
	dit.Head
	config

	activations family.Activations
}

var (
	_ family.Denoiser  = (*model)(nil)
	_ family.Adaptable = (*model)(nil)
	_ family.Typed     = (*model)(nil)
	_ family.Needing   = (*model)(nil)
)

// KeyScale is the key of a conditioning entry's factor on its states, *tensor.Tensor [B,1,1].
const KeyScale = "conditioning_scale"

// Needs implements family.Needing.
func (*model) Needs([]int) map[string]any {
	return map[string]any{KeyScale: &tensor.Tensor{Shape: []int{1, 1, 1}, Data: []float32{1}}}
}

// Inputs implements family.Denoiser.
func (m *model) Inputs(c *sampling.Cond, _ sampling.Request) ([]sampling.Input, error) {
	if c.Tokens == nil {
		return nil, dit.ErrNoText
	}
	scale, err := sampling.Value[*tensor.Tensor](c, KeyScale)
	if err != nil {
		return nil, err
	}
	if scale == nil || scale.Len() == 0 {
		return nil, errors.New("reading a conditioning entry: it holds no states of a song: encode it with MiniMaxMusic3TextEncode")
	}
	return []sampling.Input{
		{Name: sampling.InputContext, Value: c.Tokens, Rule: sampling.ByRows},
		{Name: KeyScale, Value: &tensor.Tensor{Shape: []int{scale.Dim(0), 1, 1}, Data: firsts(scale)}, Rule: sampling.ByRows},
	}, nil
}

// firsts is the first value of each row.
func firsts(x *tensor.Tensor) []float32 {
	out := make([]float32, x.Dim(0))
	for i := range out {
		out[i] = x.Index(i).Data[0]
	}
	return out
}

// Predict implements family.Denoiser: songs longer than a window are made of windows that overlap by half, of which the mean counts.
func (m *model) Predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	if len(c.X.Shape) != 3 || c.X.Dim(1) != channels || c.X.Len() == 0 {
		return nil, fmt.Errorf("the latent has shape %v: MiniMax Music 3 makes audio latents [batch,%d,length]", c.X.Shape, channels)
	}
	text, rows, n := c.Inputs.Get(sampling.InputContext), c.X.Dim(0), c.X.Dim(2)
	if text == nil || len(text.Shape) != 3 || text.Dim(0) != rows || text.Dim(1) < 1 || text.Dim(2) != m.States*m.State {
		return nil, fmt.Errorf("it needs the states of a song, %d values a frame for each row: encode it with MiniMaxMusic3TextEncode", m.States*m.State)
	}
	condition, err := dit.Once(c.Inputs, m, func() (*tensor.Tensor, error) { return m.condition(ctx, run, text, c.Inputs.Get(KeyScale)) })
	if err != nil {
		return nil, err
	}
	features, err := m.features(c.T)
	if err != nil {
		return nil, err
	}
	out, count := tensor.New(c.X.Shape...), make([]float32, n)
	size, step := latentLength(windowFrames), latentLength(stepFrames)
	for from := 0; ; from += step {
		to := min(from+size, n)
		y, err := m.window(ctx, run, part(c.X, from, to), part(condition, from, to), features)
		if err != nil {
			return nil, err
		}
		for i := from; i < to; i++ {
			count[i]++
		}
		for plane := range rows * channels {
			for i, v := range y.Data[plane*(to-from) : (plane+1)*(to-from)] {
				out.Data[plane*n+from+i] -= v
			}
		}
		if to == n {
			break
		}
	}
	for i := range out.Data {
		out.Data[i] /= count[i%n]
	}
	return out, nil
}

// part is [from,to) of the last axis of x [B,C,L], with zeros beyond its end.
func part(x *tensor.Tensor, from, to int) *tensor.Tensor {
	out := tensor.New(x.Dim(0), x.Dim(1), to-from)
	l := x.Dim(2)
	for plane := range x.Dim(0) * x.Dim(1) {
		if from < l {
			copy(out.Data[plane*(to-from):(plane+1)*(to-from)], x.Data[plane*l+from:(plane+1)*l])
		}
	}
	return out
}

// small reads a small tensor of the file.
func small(src weights.Source, name string, n int) ([]float32, error) {
	e, ok := src.Lookup(name)
	if !ok || e.Count() != n {
		return nil, fmt.Errorf("reading %s of %s: it is missing or has not %d values", name, src.Path(), n)
	}
	if e.Described() {
		return make([]float32, n), nil // a list of names and shapes
	}
	values, err := weights.Float32s(e)
	if err != nil {
		return nil, err
	}
	for _, v := range values {
		if v-v != 0 {
			return nil, fmt.Errorf("reading %s of %s: it holds %v: the file is damaged", name, src.Path(), v)
		}
	}
	return values, nil
}

// condition converts the states of frames [B,F,States·State] to the network's condition [B,C,L]. Upstream: aligned_condition.
func (m *model) condition(ctx context.Context, run family.Runner, text, scale *tensor.Tensor) (*tensor.Tensor, error) {
	mix, err := small(m.Source, keyLogits, m.States)
	if err != nil {
		return nil, err
	}
	factor, err := small(m.Source, keyScale, 1)
	if err != nil {
		return nil, err
	}
	most, sum := float64(mix[0]), 0.0
	for _, v := range mix {
		most = max(most, float64(v))
	}
	for _, v := range mix {
		sum += math.Exp(float64(v) - most)
	}
	rows, frames := text.Dim(0), text.Dim(1)
	x := tensor.New(rows, m.State, frames)
	for b := range rows {
		for f := range frames {
			states := text.Index(b).Data[f*m.States*m.State:]
			for l := range m.States {
				w := float32(math.Exp(float64(mix[l])-most) / sum)
				for k, v := range states[l*m.State : (l+1)*m.State] {
					x.Data[(b*m.State+k)*frames+f] += w * v
				}
			}
		}
	}
	for i := range x.Data {
		x.Data[i] *= factor[0]
	}
	g := family.Graph{Part: "unet condition", Variant: family.Digest(m.config), Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("minimax music condition", m.Source, func(b *nn.Builder, s *weights.Scope) {
			x := dit.Input(b, "x", onnx.Sym("B"), onnx.D(m.State), onnx.Sym("F"))
			dit.Output(b, "out", b.Conv1d(s.At("latent_conditioners.0"), x, m.Condition, 3, 1, onnx.Same(3)))
		})
	}}
	res, err := run.Run(ctx, g, []family.Value{family.Floats("x", x)}, "out")
	if err != nil {
		return nil, err
	}
	y, n := res["out"], latentLength(frames)
	out := tensor.New(rows, m.Condition, n)
	ratio := float32(frames) / float32(n)
	for plane := range rows * m.Condition {
		row := float32(1)
		if scale != nil {
			row = scale.Data[min(plane/m.Condition, len(scale.Data)-1)]
		}
		for i := range n {
			out.Data[plane*n+i] = row * y.Data[plane*frames+min(int(float32(i)*ratio), frames-1)]
		}
	}
	return out, nil
}

// features are the cosines and sines [B,2·frequencies] of one less the timesteps. Upstream: FourierFeatures.
func (m *model) features(times []float32) (*tensor.Tensor, error) {
	w, err := small(m.Source, keyTimes, m.Frequencies)
	if err != nil {
		return nil, err
	}
	out := tensor.New(len(times), 2*m.Frequencies)
	for i, t := range times {
		for k, f := range w {
			angle := float64(float32(2*math.Pi) * (1 - t) * f)
			out.Data[i*2*m.Frequencies+k], out.Data[(i*2+1)*m.Frequencies+k] = float32(math.Cos(angle)), float32(math.Sin(angle))
		}
	}
	return out, nil
}

// window runs the network on latents [B,C,L] and their condition.
func (m *model) window(ctx context.Context, run family.Runner, x, condition, features *tensor.Tensor) (*tensor.Tensor, error) {
	turns, err := small(m.Source, keyTurns, m.Turned)
	if err != nil {
		return nil, err
	}
	n := x.Dim(2) + 1
	cos, sin := tensor.New(1, n, m.Turned), tensor.New(1, n, m.Turned)
	for i := range n {
		for k, f := range turns {
			angle := float64(float32(i) * f)
			cos.Data[i*m.Turned+k], sin.Data[i*m.Turned+k] = float32(math.Cos(angle)), float32(math.Sin(angle))
		}
	}
	if err := run.Check("running the model", m.memory(x.Dim(0), x.Dim(2))); err != nil {
		return nil, err
	}
	in := []family.Value{family.Floats("x", x), family.Floats("condition", condition), family.Floats("features", features), family.Floats("cos", cos), family.Floats("sin", sin)}
	res, err := run.Run(ctx, m.graph(), in, "out")
	return res["out"], err
}

// Memory implements family.Denoiser: of one window.
func (m *model) Memory(shape []int, _ int) int64 {
	return m.memory(shape[0], tensor.Count(shape[2:])) + 4*family.Product(shape...)
}

func (m *model) memory(rows, n int) int64 {
	return m.activations.Of(m.graph(), map[string]int{"B": rows, "L": min(n, latentLength(windowFrames))})
}

func (m *model) graph() family.Graph {
	return family.Graph{Part: "unet", Variant: family.Digest(m.config), Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("minimax music", m.Source, func(b *nn.Builder, s *weights.Scope) {
			(&writer{Builder: b, config: m.config}).write(s.At("diffusion_transformer"))
		})
	}}
}

type writer struct {
	*nn.Builder
	config
	rope *nn.Rotary
}

// write writes the network. Inputs: x [B,C,L], condition [B,C',L], features [B,2·frequencies] and the cosines and sines [1,L+1,D/2]. Output: out [B,C,L].
// Upstream: DiffusionTransformer.
func (w *writer) write(s *weights.Scope) {
	b, n := onnx.Sym("B"), onnx.Sym("L")
	all := n.Plus(onnx.D(1))
	x := dit.Input(w.Builder, "x", b, onnx.D(channels), n)
	x = w.Concat(1, x, w.Mul(x, w.Const(0)), dit.Input(w.Builder, "condition", b, onnx.D(w.Condition), n))
	x = w.Add(x, w.Conv1d(s.At("preprocess_conv"), x, 2*channels+w.Condition, 1, 1, onnx.WindowND{}))
	time := dit.MLP(w.Builder, s.At("to_timestep_embed"), dit.Input(w.Builder, "features", b, onnx.D(2*w.Frequencies)), w.Width, w.Width, "0", "2")
	w.rope = &nn.Rotary{Cos: dit.Input(w.Builder, "cos", onnx.D(1), all, onnx.D(w.Turned)), Sin: dit.Input(w.Builder, "sin", onnx.D(1), all, onnx.D(w.Turned))}
	t := s.At("transformer")
	h := w.Linear(t.At("project_in"), w.Transpose(x, 0, 2, 1), w.Width)
	h = w.Concat(1, w.Unsqueeze(time, 1), h)
	for i := range w.Layers {
		l := t.At("layers").Index(i)
		h = w.Add(h, w.attend(l.At("self_attn"), w.norm(l.At("pre_norm"), h)))
		ff := l.At("ff.ff")
		value, gate := w.Halves(w.Linear(ff.At("0.proj"), w.norm(l.At("ff_norm"), h), 2*w.Inner))
		h = w.Add(h, w.Linear(ff.At("2"), w.SwiGLU(value, gate), w.Width))
	}
	h = w.Linear(t.At("project_out"), w.SliceDims(h, 1, onnx.D(1), all), channels)
	y := w.Declare(w.Transpose(h, 0, 2, 1), onnx.Shape{b, onnx.D(channels), n})
	dit.Output(w.Builder, "out", w.Add(y, w.Conv1d(s.At("postprocess_conv"), y, channels, 1, 1, onnx.WindowND{})))
}

func (w *writer) norm(s *weights.Scope, x *onnx.Value) *onnx.Value {
	const epsilon = 1e-5
	return w.Graph.LayerNorm(x, w.Table(s.Weight("gamma", w.Width)), w.Table(s.Weight("beta", w.Width)), epsilon)
}

func (w *writer) attend(s *weights.Scope, x *onnx.Value) *onnx.Value {
	rows := func(i int) *onnx.Value { return w.LinearRows(s.At("to_qkv"), x, 3*w.Width, i*w.Width, w.Width) }
	heads := w.Width / headWidth
	return w.Linear(s.At("to_out"), w.Attend(w.turn(rows(0)), w.turn(rows(1)), rows(2), onnx.Attention{Heads: heads, Scale: float32(1 / math.Sqrt(headWidth))}), w.Width)
}

// turn rotates the first values of each head of x [B,S,heads·D].
func (w *writer) turn(x *onnx.Value) *onnx.Value {
	heads, turned := w.Width/headWidth, 2*w.Turned
	if turned == headWidth {
		return w.Rotate(x, w.rope, heads)
	}
	parts := w.Split(w.Reshape(x, x.Dim(0), x.Dim(1), onnx.D(heads), onnx.D(headWidth)), -1, turned, headWidth-turned)
	first := w.Rotate(w.Reshape(parts[0], x.Dim(0), x.Dim(1), onnx.D(heads*turned)), w.rope, heads)
	return w.Reshape(w.Concat(3, w.Reshape(first, x.Dim(0), x.Dim(1), onnx.D(heads), onnx.D(turned)), parts[1]), x.Shape...)
}
