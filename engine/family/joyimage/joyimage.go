// Package joyimage is the family of JoyImage, which edits images: text and image tokens attend together in double blocks, and the images to
// edit are further tokens, each at a time of its own.
package joyimage

import (
	"context"
	"fmt"
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/latents"
	"comfygo/engine/family/lm"
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
func (kind) Name() string { return "JoyImage" }

// Rank implements family.Family.
func (kind) Rank() int { return 840 }

// config describes a network.
type config struct {
	// width is the width of a token, head that of an attention head, inner the width inside feed-forward layers.
	width, head, inner, layers int
	// channels are the channels of the latent, patch is the side of a token in latent cells, text the width of the text
	// encoding.
	channels, patch, text int
}

// The parts of a head that the axes of positions take, in sixteenths: time, row, column; and the period of the slowest pair.
var axes = [3]int{2, 7, 7}

const theta = 10000

const (
	inLayer   = "img_in.weight"
	firstNorm = "double_blocks.0.attn.img_attn_q_norm.weight"
	timeLayer = "condition_embedder.time_embedder.linear_1.weight"
)

// Read implements family.Diffusion.
func (kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	s := weights.NewScope(src)
	in, norm := s.Shape(inLayer), s.Shape(firstNorm)
	if !s.Has("double_blocks.0.attn.img_attn_qkv.weight") || norm == nil || !s.Has(timeLayer) || len(in) != 5 {
		return nil, nil
	}
	text, fed := s.Shape("condition_embedder.text_embedder.linear_1.weight"), s.Shape("double_blocks.0.img_mlp.net.0.proj.weight")
	if len(norm) != 1 || norm[0] == 0 || norm[0]%32 != 0 || in[0]%norm[0] != 0 || in[2] != 1 || in[3] != in[4] || in[3] == 0 || len(text) != 2 || len(fed) != 2 {
		return nil, fmt.Errorf("reading the shape of the network: %s is %v, %s %v, text_embedder.linear_1.weight %v, img_mlp.net.0.proj.weight %v: wanted square patches of one frame and heads whose width is a multiple of 32", inLayer, in, firstNorm, norm, text, fed)
	}
	c := config{width: in[0], head: norm[0], inner: fed[0], layers: s.Count("double_blocks"), channels: in[1], patch: in[3], text: text[1]}
	if c.channels != latents.Wan21.Channels {
		return nil, fmt.Errorf("it reads %d channels: JoyImage reads %d", c.channels, latents.Wan21.Channels)
	}
	return &model{config: c, Head: dit.Head{
		Source: flat{src}, Format: latents.Wan21, Type: sampling.Flow, Settings: sampling.Settings{Multiplier: 1000, Shift: 1.5}, Loader: loader, Encoders: []string{lm.KeyQwen3VLL},
	}}, nil
}

// flat shows the convolution of patches as a linear layer.
type flat struct{ weights.Source }

// Lookup implements weights.Source.
func (f flat) Lookup(name string) (weights.Entry, bool) {
	e, ok := f.Source.Lookup(name)
	if ok && name == inLayer && len(e.Shape) == 5 {
		if whole, err := e.Reshape(e.Shape[0], tensor.Count(e.Shape[1:])); err == nil {
			return whole, true
		}
	}
	return e, ok
}

// Close implements weights.Source.
func (flat) Close() error { return nil }

// model is a diffusion model of the family.
type model struct {
	dit.Head
	config

	activations family.Activations
}

var (
	_ family.Denoiser  = (*model)(nil)
	_ family.Bundle    = (*model)(nil)
	_ family.Adaptable = (*model)(nil)
	_ family.Typed     = (*model)(nil)
)

// Inputs implements family.Denoiser. The mask of the text encoding has no effect, as in upstream.
func (m *model) Inputs(c *sampling.Cond, r sampling.Request) ([]sampling.Input, error) {
	if c.Tokens == nil {
		return nil, dit.ErrNoText
	}
	if _, err := sampling.Value[*tensor.Tensor](c, sampling.KeyAttentionMask); err != nil {
		return nil, err
	}
	refs, err := sampling.References(c, r.Format)
	if err != nil {
		return nil, err
	}
	in := []sampling.Input{{Name: sampling.InputContext, Value: c.Tokens, Rule: sampling.ByRows}}
	return append(in, dit.ReferenceInputs(refs)...), nil
}

// Predict implements family.Denoiser.
func (m *model) Predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	shape := c.X.Shape
	c.X = dit.Video(c.X)
	text, rows := c.Inputs.Get(sampling.InputContext), c.X.Dim(0)
	if err := dit.CheckLatent(c, m.channels, 5); err != nil {
		return nil, err
	}
	if err := dit.CheckText(text, rows, m.text); err != nil {
		return nil, err
	}
	refs, _ := dit.GivenReferences(c.Inputs)
	var tokens []*tensor.Tensor
	var places []float64
	time := 0
	for i, x := range append([]*tensor.Tensor{c.X}, refs...) {
		x = dit.Video(x)
		if len(x.Shape) != 5 || x.Dim(0) != rows || x.Dim(1) != m.channels {
			return nil, fmt.Errorf("reference latent %d has shape %v, the model reads %d channels", i, x.Shape, m.channels)
		}
		t, grid, err := dit.PatchifyFrames(x, m.patch, tensor.ChannelsFirst)
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, t)
		for range x.Dim(2) {
			places = dit.AppendGrid(places, grid, float64(time))
			time++
		}
	}
	image, all := tokens[0].Dim(1), len(places)/3
	places = append(places, make([]float64, 3*text.Dim(1))...) // text does not turn
	if err := run.Check("running the model", m.memory(rows, image, all-image, text.Dim(1))); err != nil {
		return nil, err
	}
	dims := [3]int{}
	for i, a := range axes {
		dims[i] = m.head / 16 * a
	}
	in := append(dit.Angles(places, theta, dims[:]...), family.Floats("x", dit.JoinTokens(tokens...)), family.Floats("context", text), family.Vector("timesteps", c.T), family.Floats("target", tensor.New(image)))
	out, err := run.Run(ctx, m.graph(), in, "out")
	if err != nil {
		return nil, err
	}
	y, err := dit.UnpatchifyFrames(out["out"], m.patch, tensor.ChannelsLast, c.X.Shape)
	if err != nil {
		return nil, err
	}
	return y.Reshape(shape...)
}

// Memory implements family.Denoiser.
func (m *model) Memory(shape []int, tokens int) int64 {
	return m.memory(shape[0], dit.FramesOf(shape)*dit.GridOf(shape, m.patch).Tokens(), 0, tokens)
}

func (m *model) memory(rows, image, refs, text int) int64 {
	return m.activations.Of(m.graph(), map[string]int{"B": rows, "N": image, "R": refs, "T": text})
}

func (m *model) graph() family.Graph {
	return family.Graph{Part: "unet", Variant: family.Digest(m.config), Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("joyimage", m.Source, func(b *nn.Builder, s *weights.Scope) { (&writer{Builder: b, c: m.config}).write(s) })
	}}
}

type writer struct {
	*nn.Builder
	c    config
	rope *nn.Rotary
}

// write writes the graph. Inputs: x [B,N+R,values] of the image and of what it is made from, context [B,T,text], timesteps [B], cosines and sines
// [1,N+R+T,D/2], and target [N], of which only the size is used. Output: out [B,N,values]. Upstream: ldm/joyimage/model.py.
func (w *writer) write(s *weights.Scope) {
	c, rows, image, refs, text := w.c, onnx.Sym("B"), onnx.Sym("N"), onnx.Sym("R"), onnx.Sym("T")
	values := c.channels * c.patch * c.patch
	dit.Input(w.Builder, "target", image)
	img := w.Linear(s.At("img_in"), dit.Input(w.Builder, "x", rows, image.Plus(refs), onnx.D(values)), c.width)
	w.rope = dit.RotaryInputs(w.Builder, image.Plus(refs).Plus(text), c.head)
	e := s.At("condition_embedder")
	time := dit.TimeMLP(w.Builder, e.At("time_embedder"), w.Input("timesteps", dtype.F32, rows), 1, c.width, "linear_1", "linear_2")
	mods := w.Reshape(w.Linear(e.At("time_proj"), w.SiLU(time), 6*c.width), rows, onnx.D(6), onnx.D(c.width))
	p := e.At("text_embedder")
	txt := dit.Input(w.Builder, "context", rows, text, onnx.D(c.text))
	txt = w.Linear(p.At("linear_2"), w.Gelu(w.Linear(p.At("linear_1"), txt, c.width), true), c.width)
	for i := range c.layers {
		img, txt = w.block(s.At("double_blocks").Index(i), img, txt, mods)
	}
	img = w.SliceDims(img, 1, onnx.D(0), image)
	dit.Output(w.Builder, "out", w.Linear(s.At("proj_out"), w.Graph.LayerNormPlain(img, epsilon), values))
}

const epsilon = 1e-6

// mods are the modulations of one kind of tokens: two of shift, scale and gate, [B,1,width] each.
func (w *writer) mods(s *weights.Scope, shared *onnx.Value) []dit.Mod {
	w.At(s.Prefix())
	v := w.Add(shared, w.Table(s.Weight("modulate_table", 1, 6, w.c.width)))
	return dit.Mods(w.Builder, w.Reshape(v, v.Dim(0), onnx.D(6*w.c.width)), 2)
}

func (w *writer) block(s *weights.Scope, img, txt, shared *onnx.Value) (newImg, newTxt *onnx.Value) {
	c, a := w.c, s.At("attn")
	heads := c.width / c.head
	im, tm := w.mods(s.At("img_mod"), shared), w.mods(s.At("txt_mod"), shared)
	stream := func(of string, x *onnx.Value) nn.Stream {
		rows := func(i int) *onnx.Value { return w.LinearRows(a.At(of+"_attn_qkv"), x, 3*c.width, i*c.width, c.width) }
		return nn.Stream{
			Q: w.HeadRMSNorm(a.At(of+"_attn_q_norm"), rows(0), heads, epsilon), K: w.HeadRMSNorm(a.At(of+"_attn_k_norm"), rows(1), heads, epsilon), V: rows(2),
		}
	}
	y := w.JointAttention(onnx.Attention{Heads: heads, Scale: float32(1 / math.Sqrt(float64(c.head)))}, w.rope,
		stream("img", im[0].Apply(w.Builder, img)), stream("txt", tm[0].Apply(w.Builder, txt)))
	img = im[0].Add(w.Builder, img, w.Linear(a.At("img_attn_proj"), y[0], c.width))
	txt = tm[0].Add(w.Builder, txt, w.Linear(a.At("txt_attn_proj"), y[1], c.width))
	fed := func(of string, x *onnx.Value) *onnx.Value {
		n := s.At(of+"_mlp", "net")
		return w.Linear(n.At("2"), w.Gelu(w.Linear(n.At("0", "proj"), x, c.inner), true), c.width)
	}
	img = im[1].Add(w.Builder, img, fed("img", im[1].Apply(w.Builder, img)))
	txt = tm[1].Add(w.Builder, txt, fed("txt", tm[1].Apply(w.Builder, txt)))
	return img, txt
}
