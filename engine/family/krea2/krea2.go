package krea2

import (
	"context"
	"fmt"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/latents"
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
func (kind) Name() string { return "Krea 2" }

// Rank implements family.Family.
func (kind) Rank() int { return 860 }

// The width of a head, the side of a patch, and the number of heads of the layers that join the text.
const (
	headWidth = 128
	side      = 2
	textHeads = 20
)

// config describes a network.
type config struct {
	features, channels, sharedHeads  int
	textLayers, textWidth, textHeads int
}

func rowsOf(shape []int) int {
	if len(shape) == 0 {
		return 0
	}
	return shape[0]
}

// Read implements family.Diffusion.
func (kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	s := weights.NewScope(src)
	projector := s.Shape("txtfusion.projector.weight")
	if len(projector) != 2 {
		return nil, nil
	}
	first, keys := s.Shape("first.weight"), s.Shape("blocks.0.attn.wk.weight")
	c := config{features: rowsOf(first), sharedHeads: rowsOf(keys) / headWidth, textLayers: projector[1], textHeads: textHeads}
	c.textWidth = rowsOf(s.Shape("txtfusion.layerwise_blocks.0.prenorm.scale"))
	if len(first) != 2 || c.features%headWidth != 0 || first[1]%(side*side) != 0 || c.sharedHeads == 0 || c.features/headWidth%c.sharedHeads != 0 || c.textWidth == 0 || c.textWidth%c.textHeads != 0 {
		return nil, fmt.Errorf("reading the shape of the network: first.weight is %v, blocks.0.attn.wk.weight %v, the text's width %d: wanted heads of %d and %d heads for the text", first, keys, c.textWidth, headWidth, c.textHeads)
	}
	c.channels = first[1] / (side * side)
	if c.channels != latents.Wan21.Channels {
		return nil, fmt.Errorf("it reads %d channels: Krea 2 reads %d", c.channels, latents.Wan21.Channels)
	}
	return &model{config: c, Head: dit.Head{
		Source: dit.PlusOne(src), Format: latents.Wan21, Type: sampling.Flux, Settings: sampling.Settings{Multiplier: 1, Shift: 1.15}, Loader: "krea2", Encoders: []string{"qwen3vl_4b"},
		Read: []string{sampling.OptionSkipDouble, sampling.OptionSkipSingle}, Types: []dtype.DType{dtype.BF16, dtype.F16, dtype.F32},
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

// blockLayers are the layers of a block by diffusers' names.
var blockLayers = [][2]string{
	{"attn.to_q", "attn.wq"},
	{"attn.to_k", "attn.wk"},
	{"attn.to_v", "attn.wv"},
	{"attn.to_gate", "attn.gate"},
	{"attn.to_out.0", "attn.wo"},
	{"attn.to_out", "attn.wo"},
	{"ff.gate", "mlp.gate"},
	{"ff.up", "mlp.up"},
	{"ff.down", "mlp.down"},
}

// basicLayers are those outside the blocks.
var basicLayers = [][2]string{
	{"img_in", "first"},
	{"time_embed.linear_1", "tmlp.0"},
	{"time_embed.linear_2", "tmlp.2"},
	{"time_mod_proj", "tproj.1"},
	{"txt_in.linear_1", "txtmlp.1"},
	{"txt_in.linear_2", "txtmlp.3"},
	{"text_fusion.projector", "txtfusion.projector"},
	{"final_layer.linear", "last.linear"},
}

// LoRAKeys implements family.Adaptable. Upstream: utils.py krea2_to_diffusers, lora.py model_lora_keys_unet.
func (m *model) LoRAKeys(keys *patch.KeyMap, part string) {
	keys.AddGeneric(part, m.Source.Names())
	s, n := weights.NewScope(m.Source), &dit.Names{}
	for _, group := range [][2]string{
		{"transformer_blocks", "blocks"}, {"text_fusion.layerwise_blocks", "txtfusion.layerwise_blocks"}, {"text_fusion.refiner_blocks", "txtfusion.refiner_blocks"},
	} {
		for i := range s.Count(group[1]) {
			for _, l := range blockLayers {
				n.Layer(fmt.Sprintf("%s.%d.%s", group[0], i, l[0]), fmt.Sprintf("%s.%d.%s", group[1], i, l[1]))
			}
		}
	}
	for _, l := range basicLayers {
		n.Layer(l[0], l[1])
	}
	n.AddTo(keys, part, dit.Prefixed("diffusion_model."), dit.Prefixed("transformer."), dit.Underscored("lycoris_"), dit.Prefixed(""))
}

// Inputs implements family.Denoiser.
func (m *model) Inputs(c *sampling.Cond, r sampling.Request) ([]sampling.Input, error) {
	if c.Tokens == nil {
		return nil, dit.ErrNoText
	}
	in := []sampling.Input{{Name: sampling.InputContext, Value: c.Tokens, Rule: sampling.ByRows}}
	refs, err := dit.References(c, r, "")
	return append(in, refs...), err
}

// Predict implements family.Denoiser.
func (m *model) Predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	text := c.Inputs.Get(sampling.InputContext)
	shape := c.X.Shape
	c.X = dit.Image(c.X) // latents of single images come with a time axis and without
	if err := dit.CheckLatent(c, m.channels, 4); err != nil {
		return nil, err
	}
	if err := dit.CheckText(text, c.X.Dim(0), m.textLayers*m.textWidth); err != nil {
		return nil, err
	}
	x, grid, err := dit.Patchify(c.X, side, tensor.ChannelsFirst)
	if err != nil {
		return nil, err
	}
	v := variant{}
	in := []family.Value{family.Floats("x", x), family.Vector("timesteps", c.T), family.Floats("context", text)}
	pos := make([]float64, 3*text.Dim(1))
	pos = dit.AppendGrid(pos, grid, 0)
	if refs, method := dit.GivenReferences(c.Inputs); len(refs) > 0 && method != "" { // without a method they are not read
		v.References, v.Still = true, method == dit.MethodStill
		tokens, err := dit.ReferenceTokens(refs, c.X.Dim(0), m.channels, side)
		if err != nil {
			return nil, err
		}
		in = append(in, family.Floats("ref", tokens))
		for i, r := range refs {
			pos = dit.AppendGrid(pos, dit.GridOf(r.Shape, side), float64(i+1))
		}
		if v.Still {
			in = append(in, family.Vector("still", make([]float32, c.X.Dim(0))))
		}
	}
	image, texts := grid.Tokens(), text.Dim(1)
	if err := run.Check("running the model", m.memory(v, c.X.Dim(0), image, texts, len(pos)/3-image-texts)); err != nil {
		return nil, err
	}
	_, v.Skip = dit.Skipped(c.Inputs.Options)
	part := headWidth / 16
	in = append(in, dit.Angles(pos, 1000, headWidth-12*part, 6*part, 6*part)...)
	out, err := run.Run(ctx, m.graph(v), in, "out")
	if err != nil {
		return nil, err
	}
	y, err := dit.Unpatchify(out["out"], grid, tensor.ChannelsFirst)
	if err != nil {
		return nil, err
	}
	return y.Reshape(shape...)
}

func (m *model) graph(v variant) family.Graph {
	return family.Graph{Part: "unet", Variant: v.digest(), Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("krea2", m.Source, func(b *nn.Builder, s *weights.Scope) { write(b, s, m.config, v) })
	}}
}

// Memory implements family.Denoiser.
func (m *model) Memory(shape []int, tokens int) int64 {
	return m.memory(variant{}, shape[0], dit.GridOf(shape, side).Tokens(), tokens, 0)
}

func (m *model) memory(v variant, rows, image, text, refs int) int64 {
	return m.activations.Of(m.graph(v), map[string]int{"B": rows, "I": image, "T": text, "R": refs})
}
