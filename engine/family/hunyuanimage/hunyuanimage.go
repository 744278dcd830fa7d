package hunyuanimage

import (
	"context"
	"fmt"
	"slices"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/lm"
	"comfygo/engine/family/t5"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(kind{}) }

// kind registers the diffusion models.
type kind struct{}

// Name implements family.Family.
func (kind) Name() string { return "HunyuanImage 2.1" }

// Rank implements family.Family.
func (kind) Rank() int { return 390 }

// headWidth is the width of an attention head.
const headWidth = 128

// config describes a network.
type config struct {
	dit.Streams
	// channels are the channels of the latent, out the values predicted for a token, patch the side of a patch.
	channels, out, patch int
	// context and glyphWidth are the widths of the text encoding and of ByT5's, 0 for none.
	context, glyphWidth int
	// guidance reports that the network reads a guidance, next that it reads the next sigma of the schedule, as the distilled
	// model does.
	guidance, next bool
}

func rowsOf(shape []int) int {
	if len(shape) == 0 {
		return 0
	}
	return shape[0]
}

// Read implements family.Diffusion.
func (kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	src = dit.Rename(src, dit.NormWeights)
	s := weights.NewScope(src)
	in, text := s.Shape("img_in.proj.weight"), s.Shape("txt_in.input_embedder.weight")
	if !s.Has("txt_in.individual_token_refiner.blocks.0.norm1.weight") || len(in) != 4 || s.HasAny("vector_in") || s.HasAny("vision_in") {
		return nil, nil
	}
	final := s.Shape("final_layer.linear.weight")
	if len(text) != 2 || len(final) != 2 || in[0]%headWidth != 0 || in[2] != in[3] || in[1] != Latent.Channels || final[0] != in[1]*in[2]*in[3] {
		return nil, fmt.Errorf("reading the shape of the network: img_in.proj.weight is %v, txt_in.input_embedder.weight %v, final_layer.linear.weight %v: wanted %d channels, square patches and heads of %d", in, text, final, Latent.Channels, headWidth)
	}
	c := config{channels: in[1], patch: in[2], out: final[0], context: text[1], guidance: s.HasAny("guidance_in"), next: s.HasAny("time_r_in")}
	c.Hidden, c.Heads, c.MLP = in[0], in[0]/headWidth, rowsOf(s.Shape("double_blocks.0.img_mlp.0.weight"))
	if fc := s.Shape("byt5_in.fc1.weight"); len(fc) == 2 {
		c.glyphWidth = fc[1]
	}
	return &model{config: c, Head: dit.Head{
		Source: src, Format: Latent, Type: sampling.Flow, Settings: sampling.Settings{Shift: 5}, Loader: "hunyuan_image", Encoders: []string{lm.KeyQwen25M, t5.KeyByT5},
		Read: []string{sampling.OptionSkipDouble, sampling.OptionSkipSingle},
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

// The names of the inputs beside the text encoding.
const (
	inputGlyphs   = "txt_byt5"
	inputMask     = "attention_mask"
	inputGuidance = "guidance"
	// plainGuidance is the guidance of entries that state none.
	plainGuidance = 6
)

// Inputs implements family.Denoiser.
func (m *model) Inputs(c *sampling.Cond, _ sampling.Request) ([]sampling.Input, error) {
	if c.Tokens == nil {
		return nil, dit.ErrNoText
	}
	in := []sampling.Input{{Name: sampling.InputContext, Value: c.Tokens, Rule: sampling.ByRows}}
	if m.glyphWidth > 0 {
		glyphs, err := sampling.Value[*tensor.Tensor](c, keyGlyphs)
		if err != nil {
			return nil, err
		}
		if glyphs != nil {
			in = append(in, sampling.Input{Name: inputGlyphs, Value: glyphs, Rule: sampling.ByRows})
		}
	}
	mask, err := sampling.Value[*tensor.Tensor](c, sampling.KeyAttentionMask)
	if err != nil {
		return nil, err
	}
	if mask != nil && dit.Hides(mask) {
		in = append(in, sampling.Input{Name: inputMask, Value: mask, Rule: sampling.ByRows})
	}
	if !m.guidance {
		return in, nil
	}
	guidance, guided, err := dit.Guidance(c, plainGuidance)
	if guided {
		in = append(in, sampling.Input{Name: inputGuidance, Value: guidance, Rule: sampling.ByRows})
	}
	return in, err
}

// Predict implements family.Denoiser.
func (m *model) Predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	text, glyphs, mask := c.Inputs.Get(sampling.InputContext), c.Inputs.Get(inputGlyphs), c.Inputs.Get(inputMask)
	rows := c.X.Dim(0)
	if err := dit.CheckLatent(c, m.channels, 4); err != nil {
		return nil, err
	}
	if err := dit.CheckText(text, rows, m.context); err != nil {
		return nil, err
	}
	x, err := tensor.WrapTo(c.X, m.patch)
	if err != nil {
		return nil, err
	}
	grid, texts := dit.GridOf(c.X.Shape, m.patch), text.Dim(1)
	in := []family.Value{family.Floats("x", x), family.Floats("context", text), family.Vector("timesteps", c.T)}
	v := variant{}
	if glyphs != nil {
		if len(glyphs.Shape) != 3 || glyphs.Dim(0) != rows || glyphs.Dim(2) != m.glyphWidth {
			return nil, fmt.Errorf("the encoding of ByT5 has shape %v, the model reads %d values a token", glyphs.Shape, m.glyphWidth)
		}
		v.Glyphs = true
		texts += glyphs.Dim(1)
		in = append(in, family.Floats("glyphs", glyphs))
	}
	if g := c.Inputs.Get(inputGuidance); g != nil {
		if len(g.Data) != rows {
			return nil, fmt.Errorf("%d guidances for %d rows", len(g.Data), rows)
		}
		v.Guided = true
		in = append(in, family.Vector("guidance", g.Data))
	}
	if m.next && c.Inputs.Next != nil {
		v.Next = true
		in = append(in, family.Vector("next", slices.Repeat([]float32{*c.Inputs.Next}, rows)))
	}
	tokens := texts + grid.Tokens()
	if mask != nil {
		if len(mask.Shape) != 2 || mask.Dim(0) != rows || mask.Dim(1) != text.Dim(1) {
			return nil, fmt.Errorf("an attention mask of shape %v does not fit a text encoding of shape %v", mask.Shape, text.Shape)
		}
		v.Masked = true
		in = append(in, family.Floats("mask", mask), family.Floats("maskall", dit.MaskOf(mask, tokens)))
	}
	if err := run.Check("running the model", m.memory(v, rows, grid, text.Dim(1), texts-text.Dim(1))); err != nil {
		return nil, err
	}
	pos := make([]float64, 2*texts)
	for i := range grid.Tokens() {
		pos = append(pos, float64(i/grid.Width), float64(i%grid.Width))
	}
	const theta = 256
	in = append(in, dit.Angles(pos, theta, headWidth/2, headWidth/2)...)
	v.SkipDouble, v.SkipSingle = dit.Skipped(c.Inputs.Options)
	out, err := run.Run(ctx, m.graph(v), in, "out")
	if err != nil {
		return nil, err
	}
	return dit.Unpatchify(out["out"], grid, tensor.ChannelsFirst)
}

func (m *model) graph(v variant) family.Graph {
	return family.Graph{Part: "unet", Variant: v.digest(), Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("hunyuanimage", m.Source, func(b *nn.Builder, s *weights.Scope) { write(b, s, m.config, v) })
	}}
}

// Memory implements family.Denoiser.
func (m *model) Memory(shape []int, tokens int) int64 {
	return m.memory(variant{}, shape[0], dit.GridOf(shape, m.patch), tokens, 0)
}

func (m *model) memory(v variant, rows int, g dit.Grid, text, glyphs int) int64 {
	return m.activations.Of(m.graph(v), map[string]int{"B": rows, "h": g.Height, "w": g.Width, "T": text, "G": glyphs})
}
