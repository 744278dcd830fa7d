package kandinsky

import (
	"context"
	"errors"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/family/clip"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/latents"
	"comfygo/engine/family/lm"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() {
	family.Register(kind{name: "Kandinsky 5 Image", rank: 890, images: true, format: latents.Flux, shift: 3, text: "kandinsky5_image"})
	family.Register(kind{name: "Kandinsky 5", rank: 900, format: latents.HunyuanVideo, shift: 10, text: "kandinsky5"})
}

// kind is the model for images or that for videos.
type kind struct {
	name   string
	rank   int
	images bool
	format sampling.LatentFormat
	shift  float64
	text   string
}

// Name implements family.Family.
func (k kind) Name() string { return k.name }

// Rank implements family.Family.
func (k kind) Rank() int { return k.rank }

// side is the side of a patch.
const side = 2

// config describes a network.
type config struct {
	hidden, heads, inner, time, text, pooled int
	// channels are the channels of the latent and of the additional inputs, out those of the prediction.
	channels, out            int
	textBlocks, visualBlocks int
}

func (c config) head() int { return c.hidden / c.heads }

// axes are the widths of a head that time, row and column turn: 16, 24 and 24 of 64.
func (c config) axes() []int {
	d := c.head()
	return []int{d / 4, d * 3 / 8, d * 3 / 8}
}

func dim(s *weights.Scope, name string, axis int) int {
	if sh := s.Shape(name); axis < len(sh) {
		return sh[axis]
	}
	return 0
}

// Read implements family.Diffusion.
func (k kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	s := weights.NewScope(src)
	const norm = "visual_transformer_blocks.0.cross_attention.key_norm.weight"
	if !s.Has(norm) {
		return nil, nil
	}
	c := config{
		hidden: dim(s, "visual_embeddings.in_layer.weight", 0), inner: dim(s, "visual_transformer_blocks.0.feed_forward.in_layer.weight", 0),
		time: dim(s, "time_embeddings.in_layer.weight", 0), text: dim(s, "text_embeddings.in_layer.weight", 1), pooled: dim(s, "pooled_text_embeddings.in_layer.weight", 1),
		channels: dim(s, "visual_embeddings.in_layer.weight", 1) / (side * side), out: dim(s, "out_layer.out_layer.weight", 0) / (side * side),
		textBlocks: s.Count("text_transformer_blocks"), visualBlocks: s.Count("visual_transformer_blocks"),
	}
	if k.images != (c.channels == c.out) {
		return nil, nil
	}
	if d := dim(s, norm, 0); d > 0 {
		c.heads = c.hidden / d
	}
	const beside = 17 // an image and a mask
	if c.heads == 0 || c.hidden%c.heads != 0 || c.head()%16 != 0 || c.inner == 0 || c.time == 0 || c.text == 0 || c.pooled == 0 || c.out != k.format.Channels || !k.images && c.channels != c.out+beside {
		return nil, fmt.Errorf("reading the shape of the network: visual_embeddings.in_layer.weight is %v, out_layer.out_layer.weight %v, %s %v: wanted %d channels",
			s.Shape("visual_embeddings.in_layer.weight"), s.Shape("out_layer.out_layer.weight"), norm, s.Shape(norm), k.format.Channels)
	}
	return &model{config: c, kind: k, Head: dit.Head{
		Source: src, Format: k.format, Type: sampling.Flow, Settings: sampling.Settings{Shift: k.shift}, Loader: k.text, Encoders: []string{lm.KeyQwen25M, clip.KeyL},
		Read: []string{dit.OptionRotary},
	}}, nil
}

// model is a diffusion model of the family.
type model struct {
	dit.Head
	config
	kind kind

	activations family.Activations
}

var (
	_ family.Denoiser  = (*model)(nil)
	_ family.Bundle    = (*model)(nil)
	_ family.Adaptable = (*model)(nil)
	_ family.Typed     = (*model)(nil)
	_ family.Optioned  = (*model)(nil)
)

// LoRAKeys implements family.Adaptable. Upstream: lora.py model_lora_keys_unet.
func (m *model) LoRAKeys(keys *patch.KeyMap, part string) {
	m.Head.LoRAKeys(keys, part)
	var names dit.Names
	for _, n := range m.Source.Names() {
		if layer, ok := dit.LayerOf(n); ok {
			names.Layer(layer, layer)
		}
	}
	names.AddTo(keys, part, dit.Prefixed(""), dit.Prefixed("transformer."))
}

// keyStart is the key of the latent that takes the place of the first frames, in a conditioning entry.
const keyStart = "time_dim_replace"

// The names of the inputs beside the text encoding.
const (
	inputPooled = "y"
	// inputMask is 1 in the cells that are given, [N,1,T,H,W].
	inputMask = "mask"
)

// Inputs implements family.Denoiser.
func (m *model) Inputs(c *sampling.Cond, r sampling.Request) ([]sampling.Input, error) {
	if c.Tokens == nil || c.Pooled == nil {
		return nil, errors.New("reading a conditioning entry: this model needs a text encoding and a pooled one: connect one made by the text encoders of the model's family")
	}
	in := []sampling.Input{{Name: sampling.InputContext, Value: c.Tokens, Rule: sampling.ByRows}, {Name: inputPooled, Value: c.Pooled, Rule: sampling.ByRows}}
	start, err := sampling.Value[*tensor.Tensor](c, keyStart)
	if err != nil {
		return nil, err
	}
	if start != nil {
		in = append(in, sampling.Input{Name: keyStart, Value: r.Format.In(start), Rule: sampling.ByRows})
	}
	if m.kind.images {
		return in, nil
	}
	mask, err := sampling.Value[*tensor.Tensor](c, sampling.KeyConcatMask)
	if err != nil {
		return nil, err
	}
	if mask == nil {
		mask = r.Mask
	}
	if mask == nil {
		return in, nil
	}
	given, err := dit.GivenCells(mask, r.Shape)
	return append(in, sampling.Input{Name: inputMask, Value: given, Rule: sampling.ByCells}), err
}

// Predict implements family.Denoiser.
func (m *model) Predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	text, pooled := c.Inputs.Get(sampling.InputContext), c.Inputs.Get(inputPooled)
	shape := c.X.Shape
	c.X = dit.Video(c.X)
	if err := dit.CheckLatent(c, m.out, 5); err != nil {
		return nil, err
	}
	rows, frames := c.X.Dim(0), c.X.Dim(2)
	if err := dit.CheckText(text, rows, m.text); err != nil {
		return nil, err
	}
	if pooled == nil || pooled.Len() != rows*m.pooled {
		return nil, fmt.Errorf("it needs a pooled text encoding of width %d for each row", m.pooled)
	}
	x, err := m.latent(c)
	if err != nil {
		return nil, err
	}
	tokens, grid, err := dit.PatchifyFrames(x, side, tensor.ChannelsLast)
	if err != nil {
		return nil, err
	}
	if err := run.Check("running the model", m.memory(rows, tokens.Dim(1), text.Dim(1))); err != nil {
		return nil, err
	}
	in := []family.Value{family.Floats("x", tokens), family.Vector("timesteps", c.T), family.Floats("context", text), family.Floats("pooled", pooled)}
	in = append(in, dit.Angles(m.places(frames, grid, c.Inputs.Options), theta, m.axes()...)...)
	for _, v := range dit.Angles(dit.Line(text.Dim(1), 0, 1), theta, m.head()) {
		v.Name = "text " + v.Name
		in = append(in, v)
	}
	out, err := run.Run(ctx, m.graph(), in, "out")
	if err != nil {
		return nil, err
	}
	y, err := dit.UnpatchifyFrames(out["out"], side, tensor.ChannelsFirst, c.X.Shape)
	if err != nil {
		return nil, err
	}
	return y.Reshape(shape...)
}

// latent is the network's input [N,C,T,H,W]: the latent with the given frames in place of its first, for models of videos
// without an image, and the mask of given cells after it.
func (m *model) latent(c family.Call) (*tensor.Tensor, error) {
	x := c.X
	if start := c.Inputs.Get(keyStart); start != nil {
		start = dit.Video(start)
		if len(start.Shape) != 5 || start.Dim(0) != x.Dim(0) || start.Dim(1) > x.Dim(1) || start.Dim(2) > x.Dim(2) || start.Dim(3) != x.Dim(3) || start.Dim(4) != x.Dim(4) {
			return nil, fmt.Errorf("the given frames have shape %v, the latent %v", start.Shape, x.Shape)
		}
		x = x.Clone()
		n := start.Dim(2) * start.Dim(3) * start.Dim(4)
		for b := range start.Dim(0) {
			for ch := range start.Dim(1) {
				copy(x.Index(b).Index(ch).Data, start.Index(b).Index(ch).Data[:n])
			}
		}
	}
	if m.kind.images {
		return x, nil
	}
	one := append([]int{x.Dim(0), 1}, x.Shape[2:]...)
	mask := c.Inputs.Get(inputMask)
	if mask == nil {
		mask = tensor.New(one...)
	}
	if mask.Len() != tensor.Count(one) {
		return nil, fmt.Errorf("a mask of shape %v does not fit latents of shape %v", mask.Shape, x.Shape)
	}
	image := tensor.New(append([]int{x.Dim(0), m.channels - m.out - 1}, x.Shape[2:]...)...)
	return dit.Channels(x, image, mask), nil
}

// theta is the theta of all positions.
const theta = 10000

// places are the positions of the tokens of the given number of frames: time, row and column. Upstream: rope_encode_3d.
func (m *model) places(frames int, g dit.Grid, options map[string]any) []float64 {
	const large, cells = 4096, 14080 // the width of the large model, and from where on it draws positions closer together
	by := 2.0
	switch {
	case m.kind.images:
		by = 1
	case m.hidden == large && g.H*g.W >= cells:
		by = 3.16
	}
	r := dit.RotaryOf(options, dit.Rotary{ScaleX: 1 / by, ScaleY: 1 / by, ScaleT: 1})
	ts, ys, xs := dit.Line(frames, r.ShiftT, r.ScaleT), dit.Line(g.Height, r.ShiftY, r.ScaleY), dit.Line(g.Width, r.ShiftX, r.ScaleX)
	var pos []float64
	for _, t := range ts {
		for _, y := range ys {
			for _, x := range xs {
				pos = append(pos, t, y, x)
			}
		}
	}
	return pos
}

// Memory implements family.Denoiser.
func (m *model) Memory(shape []int, tokens int) int64 {
	return m.memory(shape[0], dit.FramesOf(shape)*dit.GridOf(shape, side).Tokens(), tokens)
}

func (m *model) graph() family.Graph {
	return family.Graph{Part: "unet", Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("kandinsky", m.Source, func(b *nn.Builder, s *weights.Scope) { (&writer{b, m.config}).write(s) })
	}}
}

func (m *model) memory(rows, tokens, texts int) int64 {
	return m.activations.Of(m.graph(), map[string]int{"B": rows, "S": tokens, "T": texts})
}
