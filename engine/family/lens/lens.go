// Package lens is the family of Lens: double blocks of text and image tokens on cells of Flux.2's latents, which read several layers of
// GPT-OSS 20B.
package lens

import (
	"context"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/flux2"
	"comfygo/engine/family/gptoss"
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
func (kind) Name() string { return "Lens" }

// Rank implements family.Family.
func (kind) Rank() int { return 880 }

// config describes a network.
type config struct {
	// width is the width of a token, inner the width inside feed-forward layers, blocks their number.
	width, inner, blocks int
	// channels are the channels of the latent, text is the width of a layer of the text encoding, layers the number of those side
	// by side.
	channels, text, layers int
	// several reports that the norms of the layers are numbered.
	several bool
}

// head is the width of an attention head, of which axes turn by frame, row and column.
const (
	head  = 64
	theta = 10000
)

var axes = []int{8, 28, 28}

// Read implements family.Diffusion. Upstream: model_detection.py, "lens".
func (kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	s := weights.NewScope(src)
	fed := s.Shape("transformer_blocks.0.img_mlp.w1.weight")
	if !s.Has("transformer_blocks.0.attn.norm_added_q.weight") || fed == nil {
		return nil, nil
	}
	c := config{blocks: s.Count("transformer_blocks"), layers: 1, several: s.Has("txt_norm.0.weight")}
	norm := s.Shape("txt_norm.weight")
	if c.several {
		norm, c.layers = s.Shape("txt_norm.0.weight"), s.Count("txt_norm")
	}
	in, out := s.Shape("img_in.weight"), s.Shape("proj_out.weight")
	if len(in) != 2 || in[0] == 0 || in[0]%head != 0 || len(norm) != 1 || len(fed) != 2 || len(out) != 2 || in[1] != flux2.Latent.Channels || out[0] != in[1] {
		return nil, fmt.Errorf("reading the shape of the network: img_in.weight is %v, txt_norm %v, transformer_blocks.0.img_mlp.w1.weight %v, proj_out.weight %v: wanted heads of %d and %d channels", in, norm, fed, out, head, flux2.Latent.Channels)
	}
	c.width, c.inner, c.channels, c.text = in[0], fed[0], in[1], norm[0]
	return &model{config: c, Head: dit.Head{
		Source: src, Format: flux2.Latent, Type: sampling.Flux, Settings: sampling.Settings{Shift: 1.829}, Loader: gptoss.Loader, Encoders: []string{gptoss.Key},
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
	_ family.Typed     = (*model)(nil)
)

// inputMask is the name of the mask of the text tokens [N,T].
const inputMask = "attention_mask"

// Inputs implements family.Denoiser.
func (m *model) Inputs(c *sampling.Cond, _ sampling.Request) ([]sampling.Input, error) {
	if c.Tokens == nil {
		return nil, dit.ErrNoText
	}
	in := []sampling.Input{{Name: sampling.InputContext, Value: c.Tokens, Rule: sampling.ByRows}}
	mask, err := sampling.Value[*tensor.Tensor](c, sampling.KeyAttentionMask)
	if err == nil && mask != nil && dit.Hides(mask) {
		in = append(in, sampling.Input{Name: inputMask, Value: mask, Rule: sampling.ByRows})
	}
	return in, err
}

// Predict implements family.Denoiser.
func (m *model) Predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	text, mask, rows := c.Inputs.Get(sampling.InputContext), c.Inputs.Get(inputMask), c.X.Dim(0)
	if err := dit.CheckLatent(c, m.channels, 4); err != nil {
		return nil, err
	}
	if err := dit.CheckText(text, rows, m.layers*m.text); err != nil {
		return nil, err
	}
	tokens, grid, err := dit.Patchify(c.X, 1, tensor.ChannelsFirst)
	if err != nil {
		return nil, err
	}
	texts := text.Dim(1)
	in := append(dit.Angles(positions(grid, texts), theta, axes...), family.Floats("x", tokens), family.Floats("context", text), family.Vector("timesteps", c.T))
	if mask != nil {
		if mask.Len() != rows*texts {
			return nil, fmt.Errorf("an attention mask of shape %v does not fit %d rows of %d tokens", mask.Shape, rows, texts)
		}
		in = append(in, family.Floats("mask", dit.MaskOf(&tensor.Tensor{Shape: []int{rows, texts}, Data: mask.Data}, texts+grid.Tokens())))
	}
	if err := run.Check("running the model", m.memory(mask != nil, rows, grid, texts)); err != nil {
		return nil, err
	}
	out, err := run.Run(ctx, m.graph(mask != nil), in, "out")
	if err != nil {
		return nil, err
	}
	return dit.Unpatchify(out["out"], grid, tensor.ChannelsFirst)
}

// positions are the positions of text tokens, on all axes from half of the image's larger side on, and of the cells of an image, centred
// at zero. Upstream: _lens_position_ids.
func positions(g dit.Grid, texts int) []float64 {
	out := make([]float64, 0, 3*(texts+g.Tokens()))
	for i := range texts {
		p := float64(max(g.Height/2, g.Width/2) + i)
		out = append(out, p, p, p)
	}
	top, left := g.Height/2-g.Height, g.Width/2-g.Width
	for y := range g.Height {
		for x := range g.Width {
			out = append(out, 0, float64(top+y), float64(left+x))
		}
	}
	return out
}

// Memory implements family.Denoiser.
func (m *model) Memory(shape []int, tokens int) int64 {
	return m.memory(false, shape[0], dit.GridOf(shape, 1), tokens)
}

func (m *model) memory(masked bool, rows int, g dit.Grid, texts int) int64 {
	return m.activations.Of(m.graph(masked), map[string]int{"B": rows, "I": g.Tokens(), "T": texts})
}

func (m *model) graph(masked bool) family.Graph {
	return family.Graph{Part: "unet", Variant: family.Digest(masked), Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("lens", m.Source, func(b *nn.Builder, s *weights.Scope) { (&writer{Builder: b, config: m.config}).write(s, masked) })
	}}
}
