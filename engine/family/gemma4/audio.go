package gemma4

import (
	"context"
	"fmt"
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// listener is what reads sounds for a language model: features [frames,values] of a waveform, to vectors [tokens,width].
type listener interface {
	// features are the features of samples of one channel at sampleRate.
	features(samples []float32) *tensor.Tensor
	// marks is the number of tokens that a template has for the given number of samples.
	marks(samples int) int
	listen(ctx context.Context, run family.Runner, features *tensor.Tensor) (*tensor.Tensor, error)
}

// mostMarks bounds the tokens of a sound in a template.
const mostMarks = 750

// Audio describes the audio tower of E2B and E4B, a conformer over bands of frequencies (upstream: gemma4.py Gemma4AudioEncoder).
type Audio struct{ Width, Layers, Heads, MLP, Kernel, Between, Out int }

// The figures of the tower.
const (
	audioReach  = 12 // the number of frames that a frame sees, itself included
	audioCap    = 50
	audioShare  = 0.5
	subChannels = 128
	subOut      = 32
)

// readAudio returns the audio encoder of the file, or nil.
func readAudio(s *weights.Scope, src weights.Source, c Config) (listener, error) {
	a := s.At("audio_model")
	projector := s.Shape("audio_projector.embedding_projection.weight")
	if projector == nil {
		return nil, nil
	}
	if len(projector) != 2 {
		return nil, fmt.Errorf("reading the audio tower's shape: embedding_projection %v", projector)
	}
	if !a.Has("output_proj.weight") {
		return plainAudio{Samples: projector[1], Out: c.Width, src: src}, nil
	}
	layer := a.At("layers.0")
	fc, conv, embed := layer.Shape("feed_forward1.ffw_layer_1.linear.weight"), layer.Shape("lconv1d.depthwise_conv1d.weight"), a.Shape("subsample_conv_projection.input_proj_linear.weight")
	scale := layer.Shape("self_attn.per_dim_scale")
	if len(fc) != 2 || len(conv) != 3 || len(embed) != 2 || embed[1] != bands/4*subOut || len(scale) != 1 || scale[0] == 0 || embed[0]%scale[0] != 0 {
		return nil, fmt.Errorf("reading the audio tower's shape: ffw_layer_1 %v, depthwise_conv1d %v, input_proj_linear %v, per_dim_scale %v", fc, conv, embed, scale)
	}
	return conformer{Audio{
		Width: embed[0], Layers: s.Count("audio_model.layers"), Heads: embed[0] / scale[0], MLP: fc[0], Kernel: conv[2], Between: projector[1], Out: c.Width,
	}, src}, nil
}

// conformer is an audio tower with its tensors.
type conformer struct {
	Audio
	src weights.Source
}

// features implements listener.
func (conformer) features(samples []float32) *tensor.Tensor { return melFeatures(samples) }

// marks implements listener: frames after two layers that halve them.
func (conformer) marks(samples int) int {
	t := (samples+frame/2-(frame+1))/hop + 1
	for range 2 {
		t = (t-1)/2 + 1
	}
	return min(max(t, 0), mostMarks)
}

// listen implements listener. Features hold a mask of real frames after the bands.
func (a conformer) listen(ctx context.Context, run family.Runner, features *tensor.Tensor) (*tensor.Tensor, error) {
	if len(features.Shape) != 2 || features.Dim(1) != bands+1 || features.Dim(0) == 0 {
		return nil, fmt.Errorf("encoding a sound: its features have the shape %v, wanted frames of %d bands and a mask", features.Shape, bands)
	}
	n := (features.Dim(0) + 3) / 4
	frames := 4 * n // what fills up counts as no frame
	sounds, real, halved := tensor.New(1, 1, frames, bands), tensor.New(1, 1, frames, 1), tensor.New(1, 1, 2*n, 1)
	for t := range features.Dim(0) {
		row := features.Index(t).Data
		copy(sounds.Data[t*bands:], row[:bands])
		real.Data[t] = row[bands]
	}
	for t := range halved.Data {
		halved.Data[t] = real.Data[2*t]
	}
	seen, keys := make([]int64, n*audioReach), tensor.New(n, audioReach)
	for t := range n {
		for d := range audioReach {
			at := t - d
			if at < 0 || halved.Data[2*at] == 0 {
				keys.Data[t*audioReach+d] = 1
			}
			seen[t*audioReach+d] = int64(max(at, 0))
		}
	}
	if err := run.Check("encoding a sound", int64(frames)*bands*subChannels*4+int64(n)*int64(4*(3*a.MLP+(8+2*audioReach)*a.Width))); err != nil {
		return nil, err
	}
	res, err := run.Run(ctx, a.graph(), []family.Value{
		family.Floats("sounds", sounds), family.Floats("real", real), family.Floats("halved", halved), family.Ints("seen", seen, n*audioReach),
		family.Floats("hidden", keys), family.Floats("distances", a.distances()),
	}, "vectors")
	if err != nil {
		return nil, fmt.Errorf("encoding a sound: %w", err)
	}
	return res["vectors"], nil
}

// distances are the embeddings [distance,width] of the distances between frames.
func (a Audio) distances() *tensor.Tensor {
	out := tensor.New(audioReach, a.Width)
	half := a.Width / 2
	step := float32(math.Log(10000) / float64(max(half-1, 1)))
	for d := range audioReach {
		for i := range half {
			angle := float64(float32(d) * float32(math.Exp(float64(float32(i)*-step))))
			out.Data[d*a.Width+i], out.Data[d*a.Width+half+i] = float32(math.Sin(angle)), float32(math.Cos(angle))
		}
	}
	return out
}

func (a conformer) graph() family.Graph {
	return family.Graph{Part: "audio tower", Variant: family.Digest(a.Audio), Streamed: true, Wide: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("gemma 4 audio", a.src, func(b *nn.Builder, s *weights.Scope) { (&audioWriter{clipped: clipped{b}, cfg: a.Audio}).write(s) })
	}}
}

type audioWriter struct {
	clipped
	cfg Audio
	// frames is the number of frames of a sound, seen [N*reach] the frames that each attends to, hidden [N,1,reach] marks missing
	// frames, and distances [reach,width] are the embeddings of their distances.
	frames                  onnx.Dim
	seen, hidden, distances *onnx.Value
}

// write writes the tower: inputs "sounds" [1,1,4N,bands], "real" [1,1,4N,1] and "halved" [1,1,2N,1], 1 for frames of the sound, "seen"
// [N*reach], "hidden" [N,reach] and "distances" [reach,width]; output "vectors" [N,out].
func (w *audioWriter) write(s *weights.Scope) {
	a, one, c := s.At("audio_model"), onnx.D(1), w.cfg
	w.frames = onnx.Sym("N")
	f := onnx.D(4).Times(w.frames)
	in := func(name string, dims ...onnx.Dim) *onnx.Value {
		return w.Cast(w.Input(name, dtype.F32, dims...), w.Target.Compute)
	}
	reach := onnx.D(audioReach)
	w.seen = w.Input("seen", dtype.I64, w.frames.Times(reach))
	w.hidden = w.Unsqueeze(w.Mul(in("hidden", w.frames, reach), w.Const(w.far())), 1)
	w.distances = in("distances", reach, onnx.D(c.Width))
	p := a.At("subsample_conv_projection")
	x := w.halve(p.At("layer0"), w.Mul(in("sounds", one, one, f, onnx.D(bands)), in("real", one, one, f, one)), subChannels)
	x = w.halve(p.At("layer1"), w.Mul(x, in("halved", one, one, x.Dim(2), one)), subOut)
	x = w.Declare(w.Transpose(x, 0, 2, 3, 1), onnx.Shape{one, w.frames, onnx.D(bands / 4), onnx.D(subOut)})
	x = w.Linear(p.At("input_proj_linear"), w.Reshape(x, w.frames, onnx.D(bands/4*subOut)), c.Width)
	for i := range c.Layers {
		x = w.layer(a.At("layers").Index(i), x)
	}
	projectTo(w.Builder, s.At("audio_projector"), w.Linear(a.At("output_proj"), x, c.Between), c.Out)
}

// far is what hides a frame.
func (w *audioWriter) far() float32 {
	if w.Target.Compute == dtype.F16 {
		return -6e4
	}
	return -1e9
}

// halve is a convolution that halves frames and bands, with a norm over channels.
func (w *audioWriter) halve(s *weights.Scope, x *onnx.Value, out int) *onnx.Value {
	x = w.Conv2d(s.At("conv"), x, out, 3, onnx.Window{Stride: 2, Pads: [4]int{1, 1, 1, 1}})
	x = w.LayerNorm(s.At("norm"), w.Transpose(x, 0, 2, 3, 1), epsilon)
	return w.Transpose(w.Relu(x), 0, 3, 1, 2)
}

func (w *audioWriter) layer(s *weights.Scope, x *onnx.Value) *onnx.Value {
	norm := func(name string, x *onnx.Value) *onnx.Value { return w.RMSNorm(s.At(name), x, epsilon) }
	x = w.forward(s.At("feed_forward1"), x)
	x = w.Add(x, norm("norm_post_attn", w.attend(s.At("self_attn"), norm("norm_pre_attn", x))))
	x = w.convolve(s.At("lconv1d"), x)
	return norm("norm_out", w.forward(s.At("feed_forward2"), x))
}

func (w *audioWriter) forward(s *weights.Scope, x *onnx.Value) *onnx.Value {
	y := w.SiLU(w.linear(s.At("ffw_layer_1"), w.RMSNorm(s.At("pre_layer_norm"), x, epsilon), w.cfg.MLP))
	y = w.RMSNorm(s.At("post_layer_norm"), w.linear(s.At("ffw_layer_2"), y, w.cfg.Width), epsilon)
	return w.Add(x, w.Mul(y, w.Const(audioShare)))
}

// attend lets each frame attend to itself and the frames right before it. Upstream computes it in blocks with the same
// result.
func (w *audioWriter) attend(s *weights.Scope, x *onnx.Value) *onnx.Value {
	c := w.cfg
	heads, d, reach := onnx.D(c.Heads), onnx.D(c.Width/c.Heads), onnx.D(audioReach)
	w.At(s.Prefix())
	perDim := w.Table(softplus(s.Weight("per_dim_scale", c.Width/c.Heads)))
	scale := float32(1 / math.Sqrt(float64(d.N)) / math.Ln2)
	q := w.Reshape(w.linear(s.At("q_proj"), x, c.Width), w.frames, heads, d)
	q = w.Mul(w.Mul(q, perDim), w.Const(scale))
	around := func(name string) *onnx.Value { // [N,heads,reach,D]
		v := w.Gather(w.linear(s.At(name), x, c.Width), w.seen)
		return w.Transpose(w.Reshape(v, w.frames, reach, heads, d), 0, 2, 1, 3)
	}
	k := w.Mul(around("k_proj"), w.Const(float32(math.Log(1+math.E)/math.Ln2)))
	far := w.Transpose(w.Reshape(w.Linear(s.At("relative_k_proj"), w.distances, c.Width), reach, heads, d), 1, 0, 2) // [heads,reach,D]
	scores := w.ReduceSum(w.Mul(w.Unsqueeze(q, 2), w.Add(k, w.Unsqueeze(far, 0))), false, 3)
	limit := w.Const(audioCap)
	scores = w.Mul(w.Tanh(w.Div(scores, limit)), limit)
	p := w.Softmax(w.Add(scores, w.hidden), -1)
	y := w.ReduceSum(w.Mul(w.Unsqueeze(p, 3), around("v_proj")), false, 2)
	return w.linear(s.At("post"), w.Reshape(y, w.frames, onnx.D(c.Width)), c.Width)
}

// softplus is ln(1+eˣ) of a weight, computed while it is read.
func softplus(r *weights.Ref) *weights.Ref {
	if r.Missing() {
		return r
	}
	e := r.Entry
	return &weights.Ref{Name: r.Name, Entry: weights.Compute(e.Name, e.Shape, weights.Computation{Op: "softplus", Parts: []weights.Entry{e}, Read: func(dst []float32, from int) error {
		if err := weights.Range(dst, e, from); err != nil {
			return err
		}
		for i, v := range dst {
			dst[i] = float32(math.Log1p(math.Exp(float64(v))))
		}
		return nil
	}})}
}

// convolve is a gated convolution over the frames before each.
func (w *audioWriter) convolve(s *weights.Scope, x *onnx.Value) *onnx.Value {
	c := w.cfg
	y := w.linear(s.At("linear_start"), w.RMSNorm(s.At("pre_layer_norm"), x, epsilon), 2*c.Width)
	value, gate := w.Halves(y)
	y = w.Unsqueeze(w.Transpose(w.Mul(value, w.Sigmoid(gate)), 1, 0), 0)
	y = w.Conv1d(s.At("depthwise_conv1d"), y, c.Width, c.Kernel, c.Width, onnx.WindowND{Stride: []int{1}, Before: []int{c.Kernel - 1}, After: []int{0}})
	y = w.SiLU(w.RMSNorm(s.At("conv_norm"), w.Transpose(w.Squeeze(y, 0), 1, 0), epsilon))
	return w.Add(x, w.linear(s.At("linear_end"), y, c.Width))
}

// plainAudio projects the samples of a sound without a tower, as in the 12B model (upstream: gemma4.py Gemma4UnifiedSDTokenizer).
type plainAudio struct {
	Samples, Out int
	src          weights.Source
}

// features implements listener: a fixed number of samples per token, padded with silence to the tokens of a template.
func (a plainAudio) features(samples []float32) *tensor.Tensor {
	out := tensor.New(a.marks(len(samples)), a.Samples)
	copy(out.Data, samples)
	return out
}

// marks implements listener.
func (a plainAudio) marks(samples int) int { return min((samples+a.Samples-1)/a.Samples, mostMarks) }

// listen implements listener.
func (a plainAudio) listen(ctx context.Context, run family.Runner, features *tensor.Tensor) (*tensor.Tensor, error) {
	if len(features.Shape) != 2 || features.Dim(1) != a.Samples || features.Dim(0) == 0 {
		return nil, fmt.Errorf("encoding a sound: its features have the shape %v, wanted tokens of %d samples", features.Shape, a.Samples)
	}
	g := family.Graph{Part: "audio projector", Variant: family.Digest(a.Samples, a.Out), Streamed: true, Wide: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("gemma 4 audio", a.src, func(b *nn.Builder, s *weights.Scope) {
			x := b.Cast(b.Input("sounds", dtype.F32, onnx.Sym("N"), onnx.D(a.Samples)), b.Target.Compute)
			projectTo(b, s.At("audio_projector"), x, a.Out)
		})
	}}
	res, err := run.Run(ctx, g, []family.Value{family.Floats("sounds", features)}, "vectors")
	if err != nil {
		return nil, fmt.Errorf("encoding a sound: %w", err)
	}
	return res["vectors"], nil
}
