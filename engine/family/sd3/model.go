package sd3

import (
	"context"
	"errors"
	"fmt"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/clip"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/t5"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(kind{}) }

// kind registers the diffusion models.
type kind struct{}

// Name implements family.Family.
func (kind) Name() string { return "Stable Diffusion 3" }

// Rank implements family.Family.
func (kind) Rank() int { return 200 }

// Read implements family.Diffusion.
func (kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	src = Plain(src)
	s := weights.NewScope(src)
	if !s.Has("joint_blocks.0.context_block.attn.qkv.weight") || !s.Has("final_layer.linear.weight") {
		return nil, nil
	}
	if s.HasAny("context_processor") {
		return nil, fmt.Errorf("it processes the text encoding by layers of its own (context_processor), which cannot be run")
	}
	c, err := ReadConfig(s)
	if err != nil {
		return nil, err
	}
	if c.Channels != Latent.Channels {
		return nil, fmt.Errorf("it reads %d channels: Stable Diffusion 3 reads %d", c.Channels, Latent.Channels)
	}
	return &Model{Config: c, Head: dit.Head{
		Source: src, Format: Latent, Type: sampling.Flow, Settings: sampling.Settings{Shift: 3}, Loader: Scheme, Encoders: []string{clip.KeyL, clip.KeyG, t5.KeyXXL},
		Read: []string{sampling.OptionSkipDouble, sampling.OptionSkipSingle}, Types: []dtype.DType{dtype.F16, dtype.BF16, dtype.F32},
	}}, nil
}

// Plain shows a network in the layout of diffusers under its own names.
func Plain(src weights.Source) weights.Source {
	s := weights.NewScope(src)
	if e := s.Shape("pos_embed.proj.weight"); len(e) == 4 && s.Has("transformer_blocks.0.attn.add_q_proj.weight") {
		return Names(s.Count("transformer_blocks"), e[0]).View(src)
	}
	return src
}

// inputVector is the name of the pooled text encoding [N,width] among the inputs.
const inputVector = "y"

// Model is a diffusion model of the family.
type Model struct {
	Config
	// Head's Source is in the layout of Plain.
	dit.Head

	activations family.Activations
}

var (
	_ family.Denoiser  = (*Model)(nil)
	_ family.Bundle    = (*Model)(nil)
	_ family.Adaptable = (*Model)(nil)
	_ family.Optioned  = (*Model)(nil)
	_ family.Steered   = (*Model)(nil)
)

// LoRAKeys implements family.Adaptable. Upstream: lora.py model_lora_keys_unet.
func (m *Model) LoRAKeys(keys *patch.KeyMap, part string) {
	m.Head.LoRAKeys(keys, part)
	Names(weights.NewScope(m.Source).Count("joint_blocks"), m.Hidden).AddTo(keys, part,
		dit.Prefixed("transformer."), dit.Prefixed("base_model.model."), dit.Underscored("lora_transformer_"), dit.Underscored("lycoris_"))
	keys.Bake(func(key string) bool { return key == part+"pos_embed" })
}

// Inputs implements family.Denoiser.
func (m *Model) Inputs(c *sampling.Cond, _ sampling.Request) ([]sampling.Input, error) {
	if c.Tokens == nil || m.Vector > 0 && c.Pooled == nil {
		return nil, fmt.Errorf("reading a conditioning entry: this model needs a text encoding and a pooled one: connect one made by the text encoders of the model's family")
	}
	in := []sampling.Input{{Name: sampling.InputContext, Value: c.Tokens, Rule: sampling.ByRows}}
	if m.Vector > 0 {
		in = append(in, sampling.Input{Name: inputVector, Value: c.Pooled, Rule: sampling.ByRows})
	}
	return in, nil
}

// Predict implements family.Denoiser.
func (m *Model) Predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	text, y := c.Inputs.Get(sampling.InputContext), c.Inputs.Get(inputVector)
	if err := dit.CheckLatent(c, m.Channels, 4); err != nil {
		return nil, err
	}
	if err := dit.CheckText(text, c.X.Dim(0), m.Context); err != nil {
		return nil, err
	}
	if m.Vector > 0 && (y == nil || len(y.Shape) != 2 || y.Dim(0) != c.X.Dim(0) || y.Dim(1) != m.Vector) {
		return nil, fmt.Errorf("it needs a pooled text encoding of %d values for each row: the one given comes from the text encoders of another family", m.Vector)
	}
	if err := run.Check("running the model", m.Memory(c.X.Shape, text.Dim(1))); err != nil {
		return nil, err
	}
	x, err := tensor.WrapTo(c.X, m.Patch)
	if err != nil {
		return nil, err
	}
	src, err := run.Patched(m.Source)
	if err != nil {
		return nil, err
	}
	grid := dit.GridOf(c.X.Shape, m.Patch)
	pos, err := m.Positions(src, grid)
	if err != nil {
		return nil, err
	}
	in := []family.Value{family.Floats("x", x), family.Floats("pos", pos), family.Vector("timesteps", c.T), family.Floats("context", text)}
	if m.Vector > 0 {
		in = append(in, family.Floats("y", y))
	}
	v := Variant{}
	v.Skip, _ = dit.Skipped(c.Inputs.Options)
	if r := c.Residuals; r != nil {
		v.Controls = family.Places(r.Output, weights.NewScope(m.Source).Count("joint_blocks"))
		for _, i := range v.Controls {
			in = append(in, family.Floats(Residual(i), r.Output[i]))
		}
	}
	out, err := run.Run(ctx, m.Graph(v), in, "out")
	if err != nil {
		return nil, err
	}
	return dit.Unpatchify(out["out"], grid, tensor.ChannelsLast)
}

// CheckResiduals implements family.Steered.
func (m *Model) CheckResiduals(r *family.Residuals) error {
	switch {
	case r.Middle != nil:
		return dit.ErrOfUNet
	case len(r.Input) > 0:
		return errors.New("the ControlNet is for transformers with double and single blocks, which the model does not have")
	}
	return dit.CheckWidth(m.Hidden, r.Output)
}

// Graph returns a graph of the network.
func (m *Model) Graph(v Variant) family.Graph {
	return family.Graph{Part: "unet", Variant: v.Digest(), Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("sd3", m.Source, func(b *nn.Builder, s *weights.Scope) { Write(b, s, m.Config, v) })
	}}
}

// Memory implements family.Denoiser.
func (m *Model) Memory(shape []int, tokens int) int64 {
	g := dit.GridOf(shape, m.Patch)
	return m.activations.Of(m.Graph(Variant{}), map[string]int{"B": shape[0], "h": g.Height, "w": g.Width, "T": tokens})
}

// Latent is the latent format of Stable Diffusion 3. Upstream: latent_formats.SD3.
var Latent = sampling.LatentFormat{
	Channels: 16, Scale: 1.5305, Shift: 0.0609, Downscale: 8, TinyVAE: "taesd3_decoder",
	RGB: [][3]float32{
		{-0.0922, -0.0175, 0.0749},
		{0.0311, 0.0633, 0.0954},
		{0.1994, 0.0927, 0.0458},
		{0.0856, 0.0339, 0.0902},
		{0.0587, 0.0272, -0.0496},
		{-0.0006, 0.1104, 0.0309},
		{0.0978, 0.0306, 0.0427},
		{-0.0042, 0.1038, 0.1358},
		{-0.0194, 0.0020, 0.0669},
		{-0.0488, 0.0130, -0.0268},
		{0.0922, 0.0988, 0.0951},
		{-0.0278, 0.0524, -0.0542},
		{0.0332, 0.0456, 0.0895},
		{-0.0069, -0.0030, -0.0810},
		{-0.0596, -0.0465, -0.0293},
		{-0.1448, -0.1463, -0.1189},
	},
	RGBBias: [3]float32{0.2394, 0.2135, 0.1925},
}
