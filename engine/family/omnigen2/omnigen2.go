package omnigen2

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/latents"
	"comfygo/engine/family/lm"
	"comfygo/engine/onnx"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(kind{}) }

// text is the type of the family's text encoder in the CLIP loaders.
const text = "omnigen2"

// kind is the family of diffusion models.
type kind struct{}

// Name implements family.Family.
func (kind) Name() string { return "OmniGen2" }

// Rank implements family.Family.
func (kind) Rank() int { return 800 }

// Config is the part of a network's config that follows from the shapes of a file.
type Config struct {
	// Channels are the channels of a latent, Patch is the side of a token.
	Channels, Patch int
	// Dim is the width of a token, Text that of the text encoding, Time that of the embedded timestep, Hidden that inside a
	// block's MLP.
	Dim, Text, Time, Hidden int
	// Heads and KVHeads count the attention's heads of queries and of keys, each HeadDim wide.
	Heads, KVHeads, HeadDim int
	// Layers and Refiners count the blocks of the stack and of each refiner, Double those before the stack in which text and
	// image have weights of their own; References is the number of reference latents that have an embedding.
	Layers, Refiners, Double, References int
	// Stack is the name of the stack's blocks.
	Stack string
}

// ReadConfig reads the config of a network of this kind from the shapes; stack is the name of the blocks of its stack.
func ReadConfig(s *weights.Scope, stack string) (Config, error) {
	dim := func(name string, axis int) int {
		if sh := s.Shape(name); axis < len(sh) {
			return sh[axis]
		}
		return 0
	}
	c := Config{
		Patch: 2, Channels: dim("x_embedder.weight", 1) / 4, Dim: dim("x_embedder.weight", 0), Text: dim("time_caption_embed.caption_embedder.0.weight", 0),
		Time: dim("time_caption_embed.timestep_embedder.linear_2.weight", 0), Hidden: dim("noise_refiner.0.feed_forward.linear_1.weight", 0),
		HeadDim: dim("noise_refiner.0.attn.norm_q.weight", 0), Layers: s.Count(stack), Refiners: s.Count("noise_refiner"), References: dim("image_index_embedding", 0),
		Double: s.Count("double_stream_layers"), Stack: stack,
	}
	if c.HeadDim > 0 {
		c.Heads, c.KVHeads = dim("noise_refiner.0.attn.to_q.weight", 0)/c.HeadDim, dim("noise_refiner.0.attn.to_k.weight", 0)/c.HeadDim
	}
	if c.Channels < 1 || c.Text < 1 || c.Heads < 1 || c.KVHeads < 1 || c.Heads%c.KVHeads != 0 || c.HeadDim%6 != 0 {
		return c, fmt.Errorf("its shapes make no network: width %d, text %d, %d channels, %d heads of %d and %d of keys", c.Dim, c.Text, c.Channels, c.Heads, c.HeadDim, c.KVHeads)
	}
	return c, nil
}

// Read implements family.Diffusion.
func (kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	s := weights.NewScope(src)
	if !s.Has("time_caption_embed.timestep_embedder.linear_1.bias") || !s.Has("noise_refiner.0.attn.to_q.weight") || !s.Has("ref_image_patch_embedder.weight") {
		return nil, nil
	}
	if s.HasAny("double_stream_layers") {
		return nil, nil // Boogu
	}
	c, err := ReadConfig(s, "layers")
	if err != nil {
		return nil, err
	}
	return &Model{Config: c, Head: Head(src, 2.6, text, lm.KeyQwen25S)}, nil
}

// Head are the settings of models of this kind: the shift of their flow, and the type and the key of their text encoder.
func Head(src weights.Source, shift float64, loader, key string) dit.Head {
	return dit.Head{
		Source: src, Format: latents.Flux, Type: sampling.Flow, Settings: sampling.Settings{Multiplier: 1, Shift: shift}, Loader: loader, Encoders: []string{key},
		Types: []dtype.DType{dtype.BF16, dtype.F16, dtype.F32},
	}
}

// Model is a diffusion model of this kind; families fill it in.
type Model struct {
	dit.Head
	Config

	activations family.Activations
}

var (
	_ family.Denoiser  = (*Model)(nil)
	_ family.Adaptable = (*Model)(nil)
	_ family.Bundle    = (*Model)(nil)
	_ family.Typed     = (*Model)(nil)
)

// LoRAKeys implements family.Adaptable. Upstream: lora.py model_lora_keys_unet.
func (m *Model) LoRAKeys(keys *patch.KeyMap, part string) {
	m.Head.LoRAKeys(keys, part)
	for _, n := range m.Source.Names() {
		if layer, ok := strings.CutSuffix(n, ".weight"); ok {
			keys.AddKey(layer, part+n)
		}
	}
}

// inputMask is the name of what text tokens count, [N,tokens].
const inputMask = "attention_mask"

// inputReference is the name of reference latent i [N,C,h,w].
func inputReference(i int) string { return fmt.Sprintf("ref_latents.%d", i) }

// Inputs implements family.Denoiser.
func (m *Model) Inputs(c *sampling.Cond, r sampling.Request) ([]sampling.Input, error) {
	if c.Tokens == nil {
		return nil, errors.New("reading a conditioning entry: it has no text encoding, which this model needs: connect the output of CLIP Text Encode")
	}
	in := []sampling.Input{{Name: sampling.InputContext, Value: c.Tokens, Rule: sampling.ByRows}}
	mask, err := sampling.Value[*tensor.Tensor](c, sampling.KeyAttentionMask)
	if err != nil {
		return nil, err
	}
	if mask != nil && slices.Contains(mask.Data, 0) {
		in = append(in, sampling.Input{Name: inputMask, Value: mask, Rule: sampling.ByRows})
	}
	refs, err := sampling.References(c, r.Format)
	for i, x := range refs {
		in = append(in, sampling.Input{Name: inputReference(i), Value: x, Rule: sampling.ByRows})
	}
	return in, err
}

// Predict implements family.Denoiser.
func (m *Model) Predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	encoding := c.Inputs.Get(sampling.InputContext)
	if err := dit.CheckLatent(c, m.Channels, 4); err != nil {
		return nil, err
	}
	if err := dit.CheckText(encoding, c.X.Dim(0), m.Text); err != nil {
		return nil, err
	}
	p, err := m.prepare(c)
	if err != nil {
		return nil, err
	}
	image, text := p.grid.Tokens(), encoding.Dim(1)
	if err := run.Check("running the model", m.memory(p.v, c.X.Dim(0), image, text, p.tokens-image-text)); err != nil {
		return nil, err
	}
	out, err := run.Run(ctx, m.graph(p.v), p.in, "out")
	if err != nil {
		return nil, err
	}
	return dit.Unpatchify(out["out"], p.grid, tensor.ChannelsLast)
}

// Memory implements family.Denoiser.
func (m *Model) Memory(shape []int, tokens int) int64 {
	return m.memory(variant{}, shape[0], dit.GridOf(shape, m.Patch).Tokens(), tokens, 0)
}

func (m *Model) memory(v variant, rows, image, text, refs int) int64 {
	return m.activations.Of(m.graph(v), map[string]int{"B": rows, "X": image, "T": text, "R": refs})
}

func (m *Model) graph(v variant) family.Graph {
	return family.Graph{Part: "unet", Variant: family.Digest(m.Config, v), Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return m.build(s, v)
	}}
}
