// Package cogvideo is the family of CogVideoX: diffusion models for videos from text, from images and from videos with masks, their VAE and
// their text encoding, T5-XXL alone.
package cogvideo

import (
	"context"
	"fmt"
	"slices"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/latents"
	"comfygo/engine/family/t5"
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
func (kind) Name() string { return "CogVideoX" }

// Rank implements family.Family.
func (kind) Rank() int { return 980 }

const (
	// head is the width of an attention head, side that of a patch in latent cells, frames the number of frames in a patch of version 1.5.
	head   = 64
	side   = 2
	frames = 2
	// texts is the number of places of text tokens before those of the learned table.
	texts = 226
	// large is the minimum number of heads of a model with the latents of the 5B models.
	large = 48
)

// config describes a network.
type config struct {
	// hidden is the width of a token, times that of the embedded timestep, text that of the text encoding, ofs that of the second
	// number, 0 for none.
	hidden, times, text, ofs int
	// channels is the number of input channels, out that of the prediction, depth the number of frames in a patch.
	channels, out, depth int
	// learned is the number of places in the table of learned positions, 0 for rotary ones.
	learned int
}

// Read implements family.Diffusion.
func (kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	s := weights.NewScope(src)
	norm := s.Shape("blocks.0.norm1.linear.weight")
	if norm == nil {
		return nil, nil
	}
	in, text, out := s.Shape("patch_embed.proj.weight"), s.Shape("patch_embed.text_proj.weight"), s.Shape("proj_out.weight")
	wrong := fmt.Errorf("reading the shape of the network: blocks.0.norm1.linear.weight is %v, patch_embed.proj.weight %v, patch_embed.text_proj.weight %v, proj_out.weight %v", norm, in, text, out)
	if len(norm) != 2 || len(text) != 2 || len(out) != 2 || norm[0]%(6*head) != 0 {
		return nil, wrong
	}
	c := config{hidden: norm[0] / 6, times: norm[1], text: text[1], depth: 1}
	switch cells := side * side * frames; {
	case len(in) == 4 && in[2] == side && in[3] == side:
		c.channels = in[1]
	case len(in) == 2 && in[1]%cells == 0:
		c.channels, c.depth = in[1]/cells, frames
	default:
		return nil, wrong
	}
	c.out = out[0] / (side * side * c.depth)
	if c.out != latents.CogVideoX.Channels || out[0]%(side*side*c.depth) != 0 || c.channels < c.out {
		return nil, fmt.Errorf("it reads %d channels and gives %d: models of this family give %d", c.channels, c.out, latents.CogVideoX.Channels)
	}
	if sh := s.Shape("ofs_embedding_linear_1.weight"); len(sh) == 2 {
		c.ofs = sh[1]
	}
	if sh := s.Shape("patch_embed.pos_embedding"); len(sh) == 3 {
		if sh[1] <= texts {
			return nil, fmt.Errorf("its table of positions, %v, has no place behind those of %d text tokens", sh, texts)
		}
		c.learned = sh[1]
	}
	format := latents.CogVideoX
	if c.hidden/head >= large {
		format = latents.CogVideoX5B
	}
	return &model{config: c, Head: dit.Head{
		Source: src, Format: format, Type: sampling.VPredictionDDPM,
		Settings: sampling.Settings{BetaSchedule: "linear", LinearStart: 0.00085, LinearEnd: 0.012, ZSNR: true},
		Loader:   schemeName, Encoders: []string{t5.KeyXXL}, Types: []dtype.DType{dtype.BF16, dtype.F16, dtype.F32},
	}}, nil
}

// model is a diffusion model of the family.
type model struct {
	config
	dit.Head

	activations family.Activations
}

var _ family.Denoiser = (*model)(nil)

// inputConcat are the additional input channels of the network.
const inputConcat = "concat"

// Inputs implements family.Denoiser.
func (m *model) Inputs(c *sampling.Cond, r sampling.Request) ([]sampling.Input, error) {
	if c.Tokens == nil {
		return nil, dit.ErrNoText
	}
	in := []sampling.Input{{Name: sampling.InputContext, Value: c.Tokens, Rule: sampling.ByRows}}
	if m.channels == m.out {
		return in, nil
	}
	concat, err := m.concat(c, r)
	if err != nil {
		return nil, err
	}
	return append(in, sampling.Input{Name: inputConcat, Value: concat, Rule: sampling.ByCells}), nil
}

// concat is the latent of given frames, resized to the generated one: missing frames are zero, missing channels repeat the existing
// ones. Upstream: model_base.CogVideoX.concat_cond.
func (m *model) concat(c *sampling.Cond, r sampling.Request) (*tensor.Tensor, error) {
	if len(r.Shape) != 5 {
		return nil, fmt.Errorf("sampling: the latent has shape %v, the model reads video latents", r.Shape)
	}
	want := append([]int{r.Shape[0], m.channels - m.out}, r.Shape[2:]...)
	out := tensor.New(want...)
	x, err := sampling.Value[*tensor.Tensor](c, sampling.KeyConcatLatent)
	if err != nil || x == nil {
		return out, err
	}
	if len(x.Shape) != 5 || x.Len() == 0 || x.Dim(1)%m.out != 0 {
		return nil, fmt.Errorf("reading a conditioning entry: its %s has shape %v, wanted a video latent of a multiple of %d channels: it comes from the VAE of another family", sampling.KeyConcatLatent, x.Shape, m.out)
	}
	fitted, err := sampling.FitLatent(x, []int{want[0], x.Dim(1), x.Dim(2), want[3], want[4]})
	if err != nil {
		return nil, err
	}
	scale, size := float32(m.Latent().Scale), want[3]*want[4]
	given := min(x.Dim(2), want[2]) * size
	for b := range want[0] {
		for ch := range want[1] {
			from := fitted.Data[(b*x.Dim(1)+ch%x.Dim(1))*x.Dim(2)*size:][:given]
			for i, v := range from {
				out.Data[(b*want[1]+ch)*want[2]*size+i] = v * scale
			}
		}
	}
	return out, nil
}

// Predict implements family.Denoiser.
func (m *model) Predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	if err := dit.CheckLatent(c, m.out, 5); err != nil {
		return nil, err
	}
	text := c.Inputs.Get(sampling.InputContext)
	if err := dit.CheckText(text, c.X.Dim(0), m.text); err != nil {
		return nil, err
	}
	x := c.X
	if extra := m.channels - m.out; extra > 0 {
		concat := c.Inputs.Get(inputConcat)
		if concat == nil || concat.Len() != c.X.Len()/m.out*extra {
			return nil, fmt.Errorf("it reads %d channels beside a latent of shape %v", extra, c.X.Shape)
		}
		x = dit.Channels(x, concat)
	}
	x, err := dit.WrapVideo(x, m.depth, side)
	if err != nil {
		return nil, err
	}
	sizes := m.sizes(x.Shape, text.Dim(1))
	if n := sizes["F"] * sizes["h"] * sizes["w"]; m.learned > 0 && texts+n > m.learned {
		return nil, fmt.Errorf("a latent of shape %v has %d patches, the model has positions for %d: make the video smaller or shorter", c.X.Shape, n, m.learned-texts)
	}
	in := []family.Value{family.Floats("x", x), family.Vector("timesteps", c.T), family.Floats("context", text)}
	if m.learned == 0 {
		in = append(in, m.angles(sizes)...)
	} else {
		in = append(in, places(sizes["F"]*sizes["h"]*sizes["w"]))
	}
	if m.ofs > 0 {
		const plain = 2 // upstream's default, which no node changes
		in = append(in, family.Vector("ofs", slices.Repeat([]float32{plain}, c.X.Dim(0))))
	}
	if err = run.Check("running the model", m.activations.Of(m.graph(), sizes)); err != nil {
		return nil, err
	}
	out, err := run.Run(ctx, m.graph(), in, "out")
	if err != nil {
		return nil, err
	}
	return dit.CutVideo(out["out"], c.X.Shape)
}

// sizes are the symbols of the graph for latents of a shape.
func (m *model) sizes(shape []int, tokens int) map[string]int {
	g := dit.GridOf(shape, side)
	return map[string]int{"B": shape[0], "F": (dit.FramesOf(shape) + m.depth - 1) / m.depth, "h": g.Height, "w": g.Width, "T": tokens}
}

// places are the places of the given number of patches in the table of learned positions.
func places(n int) family.Value {
	at := make([]int64, n)
	for i := range at {
		at[i] = int64(texts + i)
	}
	return family.Ints("places", at, n)
}

// angles are the rotary positions: frame, row and column, none for text. Upstream: CogVideoXTransformer3DModel._get_rotary_emb.
func (m *model) angles(sizes map[string]int) []family.Value {
	const stretch, theta = 1.875, 10000 // upstream's spatial_interpolation_scale, of the first version
	places := make([]float64, 3*sizes["T"])
	step := 1.0
	if m.depth == 1 {
		step = stretch
	}
	for f := range sizes["F"] {
		for row := range sizes["h"] {
			for col := range sizes["w"] {
				places = append(places, float64(f), float64(row)*step, float64(col)*step)
			}
		}
	}
	return dit.Angles(places, theta, head/4, head/8*3, head/8*3)
}

func (m *model) graph() family.Graph {
	return family.Graph{Part: "unet", Variant: family.Digest(m.depth), Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("cogvideox", m.Source, func(b *nn.Builder, s *weights.Scope) { (&writer{Builder: b, config: m.config}).write(s) })
	}}
}

// Memory implements family.Denoiser.
func (m *model) Memory(shape []int, tokens int) int64 {
	return m.activations.Of(m.graph(), m.sizes(shape, tokens))
}
