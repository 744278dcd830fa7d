// Package hunyuan3d is the family of Hunyuan3D 2, 2mini and 2.1, which make shapes from an image: diffusion models of sets of vectors, and the VAE
// that turns such a set into a volume.
package hunyuan3d

import (
	"context"
	"errors"
	"fmt"
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// The models, which upstream distinguishes by the number of double blocks and by the network.
const (
	modelMini = iota
	model2
	model21
)

func init() {
	family.Register(kind{"Hunyuan3D 2mini", 680, modelMini})
	family.Register(kind{"Hunyuan3D 2", 690, model2})
	family.Register(kind{"Hunyuan3D 2.1", 700, model21})
}

// kind registers one of the models.
type kind struct {
	name  string
	rank  int
	model int
}

// Name implements family.Family.
func (k kind) Name() string { return k.name }

// Rank implements family.Family.
func (k kind) Rank() int { return k.rank }

// scales are the factors of the latents of the models. Upstream: latent_formats.Hunyuan3Dv2mini, Hunyuan3Dv2 and Hunyuan3Dv2_1.
var scales = map[int]float32{modelMini: 1.0188137142395404, model2: 0.9990943042622529, model21: 1.0039506158752403}

// channels is the width of a vector of a latent.
const channels = 64

// heads is the number of attention heads of all models.
const heads = 16

// miniDepth is the number of double blocks of Hunyuan3D 2mini.
const miniDepth = 8

// config describes a network.
type config struct {
	// hidden is the width of a token, inner that inside feed-forward layers, channels that of a vector of the latent, image that of an image token.
	hidden, inner, channels, image int
	// depth and single are the numbers of double and single blocks, depth that of all blocks of 2.1.
	depth, single int
	// guided reports that the network reads a guidance, as the distilled ones do.
	guided bool
}

func dim(s *weights.Scope, name string, axis int) int {
	if sh := s.Shape(name); axis < len(sh) {
		return sh[axis]
	}
	return 0
}

// Read implements family.Diffusion.
func (k kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	src = dit.Rename(src, dit.NormWeights)
	s := weights.NewScope(src)
	var c config
	switch {
	case k.model == model21:
		if !s.Has("t_embedder.mlp.2.weight") || !s.Has("blocks.0.attn1.k_norm.weight") {
			return nil, nil
		}
		c = config{
			hidden: dim(s, "x_embedder.weight", 0), channels: dim(s, "x_embedder.weight", 1), image: dim(s, "blocks.0.attn2.to_k.weight", 1), inner: dim(s, "blocks.0.mlp.fc1.weight", 0),
			depth: s.Count("blocks"), single: 0,
		}
		if c.inner == 0 {
			c.inner = dim(s, "blocks.0.moe.shared_experts.net.0.proj.weight", 0)
		}
	case !s.Has("latent_in.weight"):
		return nil, nil
	default:
		c = config{
			hidden: dim(s, "latent_in.weight", 0), channels: dim(s, "latent_in.weight", 1), image: dim(s, "cond_in.weight", 1), inner: dim(s, "double_blocks.0.img_mlp.0.weight", 0),
			depth: s.Count("double_blocks"), single: s.Count("single_blocks"), guided: s.Has("guidance_in.in_layer.weight"),
		}
		if mini := c.depth == miniDepth; mini != (k.model == modelMini) {
			return nil, nil
		}
	}
	if c.hidden == 0 || c.hidden%heads != 0 || c.channels != channels || c.image == 0 || c.inner == 0 || c.depth == 0 {
		return nil, fmt.Errorf("reading the shape of the network: %d blocks of width %d with inner layers of %d, latents of %d channels and image tokens of width %d: wanted %d heads and %d channels", c.depth, c.hidden, c.inner, c.channels, c.image, heads, channels)
	}
	return &model{config: c, third: k.model == model21, Head: dit.Head{
		Source: src, Format: sampling.LatentFormat{Channels: channels, Scale: scales[k.model], Downscale: 1, Line: true},
		Type: sampling.Flow, Settings: sampling.Settings{Multiplier: 1, Shift: 1},
		Read: []string{sampling.OptionSkipDouble, sampling.OptionSkipSingle},
		// Upstream states no types, which are those of a BASE model.
		Types: []dtype.DType{dtype.F16, dtype.BF16, dtype.F32},
	}}, nil
}

// model is a diffusion model of the family.
type model struct {
	dit.Head
	config
	// third reports Hunyuan3D 2.1.
	third bool

	activations family.Activations
}

var (
	_ family.Denoiser  = (*model)(nil)
	_ family.Adaptable = (*model)(nil)
	_ family.Sighted   = (*model)(nil)
	_ family.Typed     = (*model)(nil)
)

// VisionPrefix implements family.Sighted: checkpoints carry DINOv2.
func (m *model) VisionPrefix() string { return "conditioner.main_image_encoder.model." }

var errNoImage = errors.New("reading a conditioning entry: there is no encoded image: connect Hunyuan3Dv2Conditioning or Hunyuan3Dv2ConditioningMultiView, which read the output of CLIPVisionEncode")

// inputGuidance is the guidance [N].
const inputGuidance = "guidance"

// Inputs implements family.Denoiser.
func (m *model) Inputs(c *sampling.Cond, _ sampling.Request) ([]sampling.Input, error) {
	if c.Tokens == nil {
		return nil, errNoImage
	}
	in := []sampling.Input{{Name: sampling.InputContext, Value: c.Tokens, Rule: sampling.ByRows}}
	if m.guided {
		const plain = 5
		g, guided, err := dit.Guidance(c, plain)
		if err != nil {
			return nil, err
		}
		if guided {
			in = append(in, sampling.Input{Name: inputGuidance, Value: g, Rule: sampling.ByRows})
		}
	}
	return in, nil
}

// variant distinguishes the graphs of one network.
type variant struct {
	guided                 bool
	skipDouble, skipSingle []int
}

func (v variant) digest() string { return family.Digest(v.guided, v.skipDouble, v.skipSingle) }

// Predict implements family.Denoiser.
func (m *model) Predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	image := c.Inputs.Get(sampling.InputContext)
	if err := dit.CheckLatent(c, m.channels, 3); err != nil {
		return nil, err
	}
	if err := m.checkImage(image, c.X.Dim(0)); err != nil {
		return nil, err
	}
	var v variant
	in := []family.Value{family.Floats("x", c.X), family.Floats("context", image), family.Floats("waves", m.waves(c.T, 1, -1))}
	if g := c.Inputs.Get(inputGuidance); m.guided && g != nil {
		if len(g.Data) != c.X.Dim(0) {
			return nil, fmt.Errorf("%d guidances for %d rows", len(g.Data), c.X.Dim(0))
		}
		v.guided = true
		in = append(in, family.Floats("guidance", m.waves(g.Data, 0, 1)))
	}
	if !m.third {
		v.skipDouble, v.skipSingle = dit.Skipped(c.Inputs.Options)
	}
	if err := run.Check("running the model", m.memory(v, c.X.Dim(0), c.X.Dim(2), image.Dim(1))); err != nil {
		return nil, err
	}
	out, err := run.Run(ctx, m.graph(v), in, "out")
	return out["out"], err
}

func (m *model) checkImage(image *tensor.Tensor, rows int) error {
	switch {
	case image == nil || len(image.Shape) != 3 || image.Dim(0) != rows || image.Dim(1) == 0:
		return errors.New("it needs an encoded image for each row")
	case image.Dim(2) != m.image:
		return fmt.Errorf("the encoded image has width %d, the model reads %d: encode it with the image encoder of the model's checkpoint (DINOv2, by ImageOnlyCheckpointLoader)", image.Dim(2), m.image)
	}
	return nil
}

// waves embed the numbers from + sign·t at sines and cosines, [N,F]. The period of the slowest wave of Hunyuan3D 2 is a thousand where its scale was
// meant to be: upstream keeps to that.
func (m *model) waves(t []float32, from, sign float32) *tensor.Tensor {
	width, period, scale := 256, 1000.0, float32(1000)
	if m.third {
		width, period, scale = m.hidden, 10000, 1
	}
	half := width / 2
	out := tensor.New(len(t), width)
	for i, v := range t {
		row := out.Index(i).Data
		for k := range half {
			frequency := float32(math.Exp(float64(float32(-math.Log(period)) * float32(k) / float32(half))))
			angle := float64(scale * (from + sign*v) * frequency)
			first, second := float32(math.Cos(angle)), float32(math.Sin(angle))
			if m.third {
				first, second = second, first
			}
			row[k], row[half+k] = first, second
		}
	}
	return out
}

func (m *model) graph(v variant) family.Graph {
	return family.Graph{Part: "unet", Variant: v.digest(), Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("hunyuan3d", m.Source, func(b *nn.Builder, s *weights.Scope) {
			if m.third {
				writer{b, m.config}.writeThird(s)
			} else {
				writer{b, m.config}.write(s, v)
			}
		})
	}}
}

// Memory implements family.Denoiser.
func (m *model) Memory(shape []int, tokens int) int64 {
	return m.memory(variant{guided: m.guided}, shape[0], shape[len(shape)-1], tokens)
}

func (m *model) memory(v variant, rows, length, tokens int) int64 {
	return m.activations.Of(m.graph(v), map[string]int{"B": rows, "L": length, "T": tokens})
}
