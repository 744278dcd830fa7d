// Package ernie is the family of ERNIE-Image.
package ernie

import (
	"context"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/flux2"
	"comfygo/engine/family/lm"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(kind{}) }

// kind registers the family.
type kind struct{}

// Name implements family.Family.
func (kind) Name() string { return "ERNIE-Image" }

// Rank implements family.Family.
func (kind) Rank() int { return 930 }

// config describes a network.
type config struct {
	// hidden is the width of a token, heads the number of attention heads, inner the width inside feed-forward layers.
	hidden, heads, inner int
	// channels are the channels of the latent, patch is the side of a token in latent cells, text the width of the text
	// encoding.
	channels, patch, text int
	// projected reports that the text encoding is projected to the width of a token.
	projected bool
}

// head is the width of a head.
func (c config) head() int { return c.hidden / c.heads }

// The part of a head that each axis of positions takes, in sixteenths: the place in the sequence, row, column.
var axes = [3]int{4, 6, 6}

// theta is the period of the slowest pair.
const theta = 256

// Read implements family.Diffusion.
func (kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	s := weights.NewScope(src)
	fed := s.Shape("layers.0.mlp.linear_fc2.weight")
	if len(fed) != 2 {
		return nil, nil
	}
	in, norm := s.Shape("x_embedder.proj.weight"), s.Shape("layers.0.self_attention.norm_q.weight")
	if len(in) != 4 || len(norm) != 1 || norm[0] == 0 || norm[0]%32 != 0 || in[0]%norm[0] != 0 || in[2] != in[3] || in[2] == 0 {
		return nil, fmt.Errorf("reading the shape of the network: x_embedder.proj.weight is %v, layers.0.self_attention.norm_q.weight %v: wanted square patches and heads whose width is a multiple of 32", in, norm)
	}
	c := config{hidden: in[0], heads: in[0] / norm[0], inner: fed[1], channels: in[1], patch: in[2], text: in[0]}
	if text := s.Shape("text_proj.weight"); len(text) == 2 {
		c.text, c.projected = text[1], true
	}
	if c.channels != flux2.Latent.Channels {
		return nil, fmt.Errorf("it reads %d channels: ERNIE-Image reads %d", c.channels, flux2.Latent.Channels)
	}
	return &model{config: c, Head: dit.Head{
		Source: src, Format: flux2.Latent, Type: sampling.Flow, Settings: sampling.Settings{Multiplier: 1000, Shift: 3},
		Loader:   "flux2", // the text encoder is Ministral 3, which every loader's type reads alike
		Encoders: []string{lm.KeyMinistral}, Read: []string{dit.OptionRotary},
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
	_ family.Bundle    = (*model)(nil)
	_ family.Adaptable = (*model)(nil)
	_ family.Optioned  = (*model)(nil)
	_ family.Typed     = (*model)(nil)
)

// LoRAKeys implements family.Adaptable. Upstream: lora.py model_lora_keys_unet.
func (m *model) LoRAKeys(keys *patch.KeyMap, part string) {
	keys.AddGeneric(part, m.Source.Names())
	for _, n := range m.Source.Names() {
		if layer, ok := dit.LayerOf(n); ok {
			keys.AddKey("transformer."+layer, part+n)
		}
	}
}

// Inputs implements family.Denoiser.
func (m *model) Inputs(c *sampling.Cond, _ sampling.Request) ([]sampling.Input, error) {
	if c.Tokens == nil {
		return nil, dit.ErrNoText
	}
	return []sampling.Input{{Name: sampling.InputContext, Value: c.Tokens, Rule: sampling.ByRows}}, nil
}

// Predict implements family.Denoiser.
func (m *model) Predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	text := c.Inputs.Get(sampling.InputContext)
	if err := dit.CheckLatent(c, m.channels, 4); err != nil {
		return nil, err
	}
	if err := dit.CheckText(text, c.X.Dim(0), m.text); err != nil {
		return nil, err
	}
	if err := run.Check("running the model", m.Memory(c.X.Shape, text.Dim(1))); err != nil {
		return nil, err
	}
	x, err := tensor.WrapTo(c.X, m.patch)
	if err != nil {
		return nil, err
	}
	grid := dit.GridOf(c.X.Shape, m.patch)
	in := []family.Value{family.Floats("x", x), family.Vector("timesteps", c.T), family.Floats("context", text)}
	in = append(in, m.angles(grid, text.Dim(1), dit.RotaryOf(c.Inputs.Options, dit.Unscaled))...)
	out, err := run.Run(ctx, m.graph(), in, "out")
	if err != nil {
		return nil, err
	}
	return dit.Unpatchify(out["out"], grid, tensor.ChannelsLast)
}

// angles returns the angles of the image's tokens followed by those of the text tokens, cosines and sines [1,tokens,D]: of
// the two elements of a pair, the one in the head's first half is turned by an angle of the first half of the frequencies,
// the other by one of the second half. Upstream: ErnieImageEmbedND3.
func (m *model) angles(g dit.Grid, text int, r dit.Rotary) []family.Value {
	index := float64(float32(float64(text) + r.ShiftT))
	var pos []float64
	for _, y := range dit.Line(g.Height, r.ShiftY, r.ScaleY) {
		for _, x := range dit.Line(g.Width, r.ShiftX, r.ScaleX) {
			pos = append(pos, index, y, x)
		}
	}
	for i := range text {
		pos = append(pos, float64(i), 0, 0)
	}
	unit := m.head() / 16
	cos, sin := nn.RotaryTable(pos, theta, axes[0]*unit, axes[1]*unit, axes[2]*unit)
	twice := func(v []float32) *tensor.Tensor {
		out := tensor.New(1, len(pos)/3, m.head())
		for i := range out.Data {
			out.Data[i] = v[i/2]
		}
		return out
	}
	return []family.Value{family.Floats("cos", twice(cos)), family.Floats("sin", twice(sin))}
}

func (m *model) graph() family.Graph {
	return family.Graph{Part: "unet", Variant: family.Digest(), Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("ernie", m.Source, func(b *nn.Builder, s *weights.Scope) { write(b, s, m.config) })
	}}
}

// Memory implements family.Denoiser.
func (m *model) Memory(shape []int, tokens int) int64 {
	g := dit.GridOf(shape, m.patch)
	return m.activations.Of(m.graph(), map[string]int{"B": shape[0], "h": g.Height, "w": g.Width, "T": tokens})
}
