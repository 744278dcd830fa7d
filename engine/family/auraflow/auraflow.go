package auraflow

import (
	"context"
	"errors"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/sdxl"
	"comfygo/engine/onnx"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(kind{}) }

// kind is the family of diffusion models.
type kind struct{}

// Name implements family.Family.
func (kind) Name() string { return "AuraFlow" }

// Rank implements family.Family.
func (kind) Rank() int { return 230 }

// Config is the part of a network's config that follows from the shapes of a file, and the number of heads, which all models
// share.
type Config struct {
	// Channels are the channels of a latent, Patch is the side of a token.
	Channels, Patch int
	// Dim is the width of a token, Text that of the text encoding, Time that of the embedded timestep, Heads the number of
	// attention heads.
	Dim, Text, Time, Heads int
	// Double and Single count the blocks.
	Double, Single int
	// Side is the side of the square table of positions, Registers the number of learned tokens before those of the text.
	Side, Registers int
}

// read reads the config from the shapes.
func read(s *weights.Scope, heads int) (Config, error) {
	dim := func(name string, axis int) int {
		if sh := s.Shape(name); axis < len(sh) {
			return sh[axis]
		}
		return 0
	}
	c := Config{
		Patch: 2, Channels: dim("init_x_linear.weight", 1) / 4, Dim: dim("init_x_linear.weight", 0), Text: dim("cond_seq_linear.weight", 1),
		Time: dim("t_embedder.mlp.2.weight", 0), Heads: heads, Double: s.Count("double_layers"), Single: s.Count("single_layers"), Registers: dim("register_tokens", 1),
	}
	for c.Side*c.Side < dim("positional_encoding", 1) {
		c.Side++
	}
	if c.Channels < 1 || c.Dim < 1 || c.Dim%heads != 0 || c.Text < 1 || c.Side < 1 || c.Side*c.Side != dim("positional_encoding", 1) {
		return c, fmt.Errorf("its shapes make no network: width %d in %d heads, text %d, %d channels, %d positions", c.Dim, heads, c.Text, c.Channels, dim("positional_encoding", 1))
	}
	return c, nil
}

// Read implements family.Diffusion.
func (kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	if _, ok := src.Lookup("joint_transformer_blocks.0.attn.add_k_proj.weight"); ok {
		s := weights.NewScope(src)
		src = names(s.Count("joint_transformer_blocks"), s.Count("single_transformer_blocks")).View(src)
	}
	s := weights.NewScope(src)
	if !s.Has("double_layers.0.attn.w1q.weight") || !s.Has("positional_encoding") {
		return nil, nil
	}
	const heads = 12
	c, err := read(s, heads)
	if err != nil {
		return nil, err
	}
	return &Model{Config: c, Source: src}, nil
}

// Model is a diffusion model of the family.
type Model struct {
	Config
	// Source holds the network's tensors in the original layout, without prefix.
	Source weights.Source

	activations family.Activations
}

var (
	_ family.Denoiser  = (*Model)(nil)
	_ family.Adaptable = (*Model)(nil)
)

// Latent implements family.Denoiser.
func (m *Model) Latent() sampling.LatentFormat { return sdxl.Latent }

// Sampling implements family.Denoiser.
func (m *Model) Sampling() (sampling.ModelType, sampling.Settings) {
	return sampling.Flow, sampling.Settings{Multiplier: 1, Shift: 1.73}
}

// Weights implements family.Denoiser.
func (m *Model) Weights() weights.Source { return m.Source }

// LoRAKeys implements family.Adaptable. Upstream: lora.py model_lora_keys_unet, utils.py auraflow_to_diffusers.
func (m *Model) LoRAKeys(keys *patch.KeyMap, part string) {
	keys.AddGeneric(part, m.Source.Names())
	names(m.Double, m.Single).AddTo(keys, part, dit.Prefixed("transformer."))
	keys.Bake(func(key string) bool { return key == part+"positional_encoding" })
}

// Inputs implements family.Denoiser.
func (m *Model) Inputs(c *sampling.Cond, _ sampling.Request) ([]sampling.Input, error) {
	if c.Tokens == nil {
		return nil, errors.New("reading a conditioning entry: it has no text encoding, which this model needs: connect the output of CLIP Text Encode")
	}
	return []sampling.Input{{Name: sampling.InputContext, Value: c.Tokens, Rule: sampling.ByRows}}, nil
}

// Predict implements family.Denoiser.
func (m *Model) Predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	text := c.Inputs.Get(sampling.InputContext)
	if err := dit.CheckLatent(c, m.Channels, 4); err != nil {
		return nil, err
	}
	if err := dit.CheckText(text, c.X.Dim(0), m.Text); err != nil {
		return nil, err
	}
	if err := run.Check("running the model", m.Memory(c.X.Shape, text.Dim(1))); err != nil {
		return nil, err
	}
	x, grid, err := dit.Patchify(c.X, m.Patch, tensor.ChannelsFirst)
	if err != nil {
		return nil, err
	}
	changed, err := run.Patched(m.Source)
	if err != nil {
		return nil, err
	}
	positions, err := m.positions(changed, grid)
	if err != nil {
		return nil, err
	}
	in := []family.Value{family.Floats("x", x), family.Floats("context", text), family.Floats("positions", positions), family.Vector("timesteps", c.T)}
	out, err := run.Run(ctx, m.graph(), in, "out")
	if err != nil {
		return nil, err
	}
	return dit.Unpatchify(out["out"], grid, tensor.ChannelsLast)
}

// Memory implements family.Denoiser.
func (m *Model) Memory(shape []int, tokens int) int64 {
	return m.activations.Of(m.graph(), map[string]int{"B": shape[0], "X": dit.GridOf(shape, m.Patch).Tokens(), "T": tokens})
}

func (m *Model) graph() family.Graph {
	return family.Graph{Part: "unet", Variant: family.Digest(m.Config), Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) { return m.build(s) }}
}
