package pixart

import (
	"context"
	"fmt"
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/sd15"
	"comfygo/engine/family/sdxl"
	"comfygo/engine/family/t5"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() {
	family.Register(kind{name: "PixArt Alpha", rank: 240, sized: true, format: sd15.Latent})
	family.Register(kind{name: "PixArt Sigma", rank: 250, format: sdxl.Latent})
}

// kind is one of the two generations: Alpha reads the image's size.
type kind struct {
	name   string
	rank   int
	sized  bool
	format sampling.LatentFormat
}

// Name implements family.Family.
func (k kind) Name() string { return k.name }

// Rank implements family.Family.
func (k kind) Rank() int { return k.rank }

// The number of attention heads and the side of a patch.
const (
	heads = 16
	side  = 2
)

// config describes a network.
type config struct {
	hidden, channels, out, context int
	// sized reports that the network reads the image's size.
	sized bool
	// interpolation, when set, scales positions; otherwise it follows from the latent's size.
	interpolation float64
}

// Read implements family.Diffusion.
func (k kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	s := weights.NewScope(src)
	if s.Has("adaln_single.emb.timestep_embedder.linear_1.bias") && s.Has("pos_embed.proj.bias") {
		src = names(s.Count("transformer_blocks"), rowsOf(s.Shape("pos_embed.proj.bias"))).View(src)
		s = weights.NewScope(src)
	}
	if s.Has("genre_embedder.weight") { // ACE-Step has blocks of the same names
		return nil, nil
	}
	if !s.Has("t_block.1.weight") || s.Has("ar_embedder.mlp.0.weight") != k.sized {
		return nil, nil
	}
	in, text, out := s.Shape("x_embedder.proj.weight"), s.Shape("y_embedder.y_proj.fc1.weight"), s.Shape("final_layer.linear.weight")
	if len(in) != 4 || len(text) != 2 || len(out) != 2 || in[0]%heads != 0 || in[1] != k.format.Channels || out[0]%(side*side) != 0 || out[0]/(side*side) < in[1] {
		return nil, fmt.Errorf("reading the shape of the network: x_embedder.proj.weight is %v, y_embedder.y_proj.fc1.weight %v, final_layer.linear.weight %v: wanted %d channels and %d heads", in, text, out, k.format.Channels, heads)
	}
	c := config{hidden: in[0], channels: in[1], out: out[0] / (side * side), context: text[1], sized: k.sized}
	if pos := s.Shape("pos_embed"); len(pos) == 3 {
		c.interpolation = float64(int(math.Sqrt(float64(pos[1]))) * side / (512 / 8))
	}
	return &model{config: c, Head: dit.Head{
		Source: src, Format: k.format, Type: sampling.EPS, Settings: sampling.Settings{BetaSchedule: "sqrt_linear", LinearStart: 0.0001, LinearEnd: 0.02, Timesteps: 1000},
		Loader: "pixart", Encoders: []string{t5.KeyXXL}, Types: []dtype.DType{dtype.F16, dtype.BF16, dtype.F32},
	}}, nil
}

func rowsOf(shape []int) int {
	if len(shape) == 0 {
		return 0
	}
	return shape[0]
}

// model is a diffusion model of the family.
type model struct {
	config
	dit.Head

	activations family.Activations
}

var (
	_ family.Denoiser  = (*model)(nil)
	_ family.Bundle    = (*model)(nil)
	_ family.Adaptable = (*model)(nil)
)

// LoRAKeys implements family.Adaptable. Upstream: lora.py model_lora_keys_unet.
func (m *model) LoRAKeys(keys *patch.KeyMap, part string) {
	m.Head.LoRAKeys(keys, part)
	names(weights.NewScope(m.Source).Count("blocks"), m.hidden).AddTo(keys, part,
		dit.Prefixed("transformer."), dit.Prefixed("base_model.model."), dit.Prefixed("unet.base_model.model."))
}

// The names of the inputs of models that read the image's size, in pixels, [N].
const (
	inputHeight = "height"
	inputWidth  = "width"
	inputRatio  = "ratio"
)

// Inputs implements family.Denoiser.
func (m *model) Inputs(c *sampling.Cond, r sampling.Request) ([]sampling.Input, error) {
	if c.Tokens == nil {
		return nil, dit.ErrNoText
	}
	in := []sampling.Input{{Name: sampling.InputContext, Value: c.Tokens, Rule: sampling.ByRows}}
	if !m.sized {
		return in, nil
	}
	const cell = 8 // pixels per latent cell
	h, w := float64(r.Shape[len(r.Shape)-2]*cell), float64(r.Shape[len(r.Shape)-1]*cell)
	ratio := h / w
	_, height := c.Values[sampling.KeyHeight]
	if _, width := c.Values[sampling.KeyWidth]; width && height {
		a, err := sampling.Value[int](c, sampling.KeyHeight)
		if err != nil {
			return nil, err
		}
		b, err := sampling.Value[int](c, sampling.KeyWidth)
		if err != nil {
			return nil, err
		}
		h, w = float64(a), float64(b)
		ratio = h / max(w, 1)
		if _, given := c.Values[keyRatio]; given {
			if ratio, err = sampling.Value[float64](c, keyRatio); err != nil {
				return nil, err
			}
		}
	}
	for _, n := range []struct {
		name  string
		value float64
	}{{inputHeight, h}, {inputWidth, w}, {inputRatio, ratio}} {
		in = append(in, sampling.Input{Name: n.name, Value: &tensor.Tensor{Shape: []int{1}, Data: []float32{float32(n.value)}}, Rule: sampling.ByRows})
	}
	return in, nil
}

// keyRatio is the key of a conditioning entry's ratio of height to width, a float64.
const keyRatio = "aspect_ratio"

// Predict implements family.Denoiser.
func (m *model) Predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	text := c.Inputs.Get(sampling.InputContext)
	if err := dit.CheckLatent(c, m.channels, 4); err != nil {
		return nil, err
	}
	if err := dit.CheckText(text, c.X.Dim(0), m.context); err != nil {
		return nil, err
	}
	if err := run.Check("running the model", m.Memory(c.X.Shape, text.Dim(1))); err != nil {
		return nil, err
	}
	x, err := tensor.WrapTo(c.X, side)
	if err != nil {
		return nil, err
	}
	grid := dit.GridOf(c.X.Shape, side)
	in := []family.Value{family.Floats("x", x), family.Floats("pos", m.positions(grid)), family.Vector("timesteps", c.T), family.Floats("context", text)}
	if m.sized {
		for _, name := range []string{inputHeight, inputWidth, inputRatio} {
			v := c.Inputs.Get(name)
			if v == nil || len(v.Data) != c.X.Dim(0) {
				return nil, fmt.Errorf("it needs the input %s for each row", name)
			}
			in = append(in, family.Vector(name, v.Data))
		}
	}
	out, err := run.Run(ctx, m.graph(), in, "out")
	if err != nil {
		return nil, err
	}
	y, err := dit.Unpatchify(out["out"], grid, tensor.ChannelsLast)
	if err != nil {
		return nil, err
	}
	return dit.FirstChannels(y, m.channels), nil // the others are the variance
}

// positions are sines and cosines of column and row, [1,h·w,H]. Upstream: pixartms.py get_2d_sincos_pos_embed_torch.
func (m *model) positions(g dit.Grid) *tensor.Tensor {
	const trained, step = 512 / 8, 64 // the side of a latent at the smallest resolution, and the step of sides
	middle := float64((g.H + g.W) / 2)
	scale := m.interpolation
	if scale == 0 { // latents so small that upstream divides by zero get the scale of the smallest resolution
		scale = max(math.RoundToEven(middle/trained), 1)
	}
	base := max(math.RoundToEven(middle/step), 1) * step / side
	out := tensor.New(1, g.Tokens(), m.hidden)
	half := m.hidden / 2
	for token := range g.Tokens() {
		v := out.Data[token*m.hidden:]
		for axis, p := range []float64{float64(token%g.Width) / (float64(g.Width) / base) / scale, float64(token/g.Width) / (float64(g.Height) / base) / scale} {
			for i := range half / 2 {
				angle := p / math.Pow(10000, float64(i)/float64(half/2))
				v[axis*half+i], v[axis*half+half/2+i] = float32(math.Sin(angle)), float32(math.Cos(angle))
			}
		}
	}
	return out
}

func (m *model) graph() family.Graph {
	return family.Graph{Part: "unet", Variant: family.Digest(m.sized), Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("pixart", m.Source, func(b *nn.Builder, s *weights.Scope) { write(b, s, m.config) })
	}}
}

// Memory implements family.Denoiser.
func (m *model) Memory(shape []int, tokens int) int64 {
	g := dit.GridOf(shape, side)
	return m.activations.Of(m.graph(), map[string]int{"B": shape[0], "h": g.Height, "w": g.Width, "T": tokens})
}
