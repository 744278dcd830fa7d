// Package ideogram4 is the family of Ideogram 4: one stack of blocks for text and image tokens. A second model, for the negative
// side of the guidance, reads only the image.
package ideogram4

import (
	"context"
	"fmt"
	"math"
	"slices"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/flux2"
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
func (kind) Name() string { return "Ideogram 4" }

// Rank implements family.Family.
func (kind) Rank() int { return 850 }

const (
	// side is the side in cells of the VAE of a cell of the latent.
	side = 2
	// imagePlace is where the positions of image tokens begin, after those of any text.
	imagePlace = 65536
	// theta is the period of the slowest pair.
	theta = 5000000
	// timeScale multiplies the time and is the period of its embedding.
	timeScale = 1e4
)

// sections are the numbers of a head's frequencies that belong to rows and columns: every third one among the first.
var sections = [3]int{24, 20, 20}

// config describes a network.
type config struct {
	// width is the width of a token, heads the number of attention heads, inner the width inside feed-forward layers, mod that of
	// the vector which modulates.
	width, heads, inner, mod int
	// channels are the channels of the latent, text is the width of the text encoding.
	channels, text int
}

func (c config) head() int { return c.width / c.heads }

// Read implements family.Diffusion.
func (kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	s := weights.NewScope(src)
	if !s.Has("embed_image_indicator.weight") {
		return nil, nil
	}
	dim := func(name string, axis int) int {
		if sh := s.Shape(name); axis < len(sh) {
			return sh[axis]
		}
		return 0
	}
	c := config{
		width: dim("input_proj.weight", 0), channels: dim("input_proj.weight", 1), inner: dim("layers.0.feed_forward.w1.weight", 0),
		mod: dim("adaln_proj.weight", 0), text: dim("llm_cond_norm.weight", 0),
	}
	head := dim("layers.0.attention.norm_q.weight", 0)
	if head == 0 || head%2 != 0 || c.width == 0 || c.width%head != 0 || c.inner == 0 || c.mod == 0 || c.text == 0 {
		return nil, fmt.Errorf("its shapes make no network: width %d, heads of %d, %d inside, modulation of %d, text of %d", c.width, head, c.inner, c.mod, c.text)
	}
	if c.channels != flux2.Latent.Channels {
		return nil, fmt.Errorf("it reads %d channels: Ideogram 4 reads %d", c.channels, flux2.Latent.Channels)
	}
	c.heads = c.width / head
	return &model{config: c, Head: dit.Head{
		Source: src, Format: flux2.Latent, Type: sampling.Flow, Settings: sampling.Settings{Multiplier: 1, Shift: 1}, Loader: loader, Encoders: []string{lm.KeyQwen3VLL},
	}}, nil
}

// variant distinguishes the graphs of one network.
type variant struct {
	// Text reports that there is text, Masked that some of its tokens do not count.
	Text, Masked bool
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
	_ family.Typed     = (*model)(nil)
)

// inputMask is the name of what text tokens count, [N,tokens].
const inputMask = "attention_mask"

// Inputs implements family.Denoiser. Without a text encoding the network reads only the image.
func (m *model) Inputs(c *sampling.Cond, _ sampling.Request) ([]sampling.Input, error) {
	mask, err := sampling.Value[*tensor.Tensor](c, sampling.KeyAttentionMask)
	if err != nil || c.Tokens == nil {
		return nil, err
	}
	in := []sampling.Input{{Name: sampling.InputContext, Value: c.Tokens, Rule: sampling.ByRows}}
	if mask != nil && slices.Contains(mask.Data, 0) {
		in = append(in, sampling.Input{Name: inputMask, Value: mask, Rule: sampling.ByRows})
	}
	return in, nil
}

// Predict implements family.Denoiser.
func (m *model) Predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	if err := dit.CheckLatent(c, m.channels, 4); err != nil {
		return nil, err
	}
	rows, grid, texts := c.X.Dim(0), dit.GridOf(c.X.Shape, 1), 0
	tokens, _, err := dit.Patchify(c.X, 1, tensor.ChannelsFirst)
	if err != nil {
		return nil, err
	}
	v := variant{}
	in := []family.Value{family.Floats("x", reordered(tokens, side*side)), family.Floats("time", m.time(c.T))}
	if text := c.Inputs.Get(sampling.InputContext); text != nil {
		if err := dit.CheckText(text, rows, m.text); err != nil {
			return nil, err
		}
		v.Text, texts = true, text.Dim(1)
		in = append(in, family.Floats("context", text))
		if mask := c.Inputs.Get(inputMask); mask != nil {
			if mask.Len() != rows*texts {
				return nil, fmt.Errorf("the attention mask has shape %v, wanted %d tokens for each of %d rows", mask.Shape, texts, rows)
			}
			v.Masked = true
			in = append(in, family.Floats("mask", dit.MaskOf(&tensor.Tensor{Shape: []int{rows, texts}, Data: mask.Data}, texts+grid.Tokens())))
		}
	}
	if err := run.Check("running the model", m.memory(v, rows, grid.Tokens(), texts)); err != nil {
		return nil, err
	}
	out, err := run.Run(ctx, m.graph(v), append(in, m.angles(texts, grid)...), "out")
	if err != nil {
		return nil, err
	}
	return dit.Unpatchify(reordered(out["out"], m.channels/(side*side)), grid, tensor.ChannelsFirst)
}

// reordered turns the last axis of x from [w/n, n] to [n, w/n]: channels hold a cell's parts one after another, tokens its
// channels.
func reordered(x *tensor.Tensor, n int) *tensor.Tensor {
	w := x.Dim(-1)
	out := tensor.New(x.Shape...)
	for i := 0; i < len(x.Data); i += w {
		for k := range w {
			out.Data[i+k%n*(w/n)+k/n] = x.Data[i+k]
		}
	}
	return out
}

// time embeds timesteps, [N,width]: sines, then cosines, of the remaining time. Upstream: Ideogram4EmbedScalar.
func (m *model) time(t []float32) *tensor.Tensor {
	out := tensor.New(len(t), m.width)
	half := m.width / 2
	step := float32(math.Log(timeScale) / float64(half-1))
	for i, v := range t {
		row := out.Index(i).Data
		for k := range half {
			angle := float64(timeScale * (1 - v) * float32(math.Exp(float64(float32(k)*-step))))
			row[k], row[half+k] = float32(math.Sin(angle)), float32(math.Cos(angle))
		}
	}
	return out
}

// angles are the angles of the given number of text tokens, which count on all axes, and of the image's, with the single
// precision in which upstream computes them so far from zero. Upstream: precompute_freqs_cis with interleaved axes.
func (m *model) angles(texts int, g dit.Grid) []family.Value {
	half := m.head() / 2
	frequencies, axes := make([]float32, half), make([]int, half)
	for i := range half {
		frequencies[i] = 1 / float32(math.Pow(theta, float64(float32(2*i)/float32(m.head()))))
		if a := i % 3; a > 0 && i < 3*sections[a] {
			axes[i] = a
		}
	}
	shape := []int{1, texts + g.Tokens(), half}
	cos, sin := tensor.New(shape...), tensor.New(shape...)
	set := func(token int, place [3]int) {
		for i, f := range frequencies {
			angle := float64(f * float32(place[axes[i]]))
			cos.Data[token*half+i], sin.Data[token*half+i] = float32(math.Cos(angle)), float32(math.Sin(angle))
		}
	}
	for i := range texts {
		set(i, [3]int{i, i, i})
	}
	for i := range g.Tokens() {
		set(texts+i, [3]int{imagePlace, imagePlace + i/g.Width, imagePlace + i%g.Width})
	}
	return []family.Value{family.Floats("cos", cos), family.Floats("sin", sin)}
}

func (m *model) graph(v variant) family.Graph {
	return family.Graph{Part: "unet", Variant: family.Digest(v), Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("ideogram4", m.Source, func(b *nn.Builder, s *weights.Scope) { write(b, s, m.config, v) })
	}}
}

// Memory implements family.Denoiser.
func (m *model) Memory(shape []int, tokens int) int64 {
	return m.memory(variant{Text: tokens > 0}, shape[0], dit.GridOf(shape, 1).Tokens(), tokens)
}

func (m *model) memory(v variant, rows, image, text int) int64 {
	return m.activations.Of(m.graph(v), map[string]int{"B": rows, "I": image, "T": text})
}
