// Package radiance is the family of Chroma Radiance: the blocks of Chroma on patches of pixels, after which a small network,
// whose weights are the blocks' tokens, computes each pixel of a patch.
package radiance

import (
	"context"
	"fmt"
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/flux"
	"comfygo/engine/family/latents"
	"comfygo/engine/family/t5"
	"comfygo/engine/onnx"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(kind{}) }

// kind registers the family.
type kind struct{}

// Name implements family.Family.
func (kind) Name() string { return "Chroma Radiance" }

// Rank implements family.Family.
func (kind) Rank() int { return 760 }

const (
	rgb = 3
	// inLayer is the convolution that converts patches to tokens.
	inLayer = "img_in_patch"
	// frequencies is the number of frequencies of a pixel's place along one axis.
	frequencies = 8
	// tile is the number of patches whose pixels are computed at once.
	tile = 512
)

// flat shows the scales of norms as weights, and the convolution of patches as a linear layer.
type flat struct{ weights.Source }

// Lookup implements weights.Source.
func (f flat) Lookup(name string) (weights.Entry, bool) {
	e, ok := f.Source.Lookup(name)
	if ok && name == inLayer+".weight" && len(e.Shape) == 4 {
		if whole, err := e.Reshape(e.Shape[0], e.Shape[1]*e.Shape[2]*e.Shape[3]); err == nil {
			return whole, true
		}
	}
	return e, ok
}

// Close implements weights.Source.
func (flat) Close() error { return nil }

// Read implements family.Diffusion.
func (kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	src = dit.Rename(src, func(n string) string {
		if layer, ok := strings.CutSuffix(n, ".scale"); ok {
			return layer + ".weight"
		}
		return n
	})
	s := weights.NewScope(src)
	if !flux.Looks(src) || !s.Has("distilled_guidance_layer.norms.0.weight") || !s.Has("nerf_blocks.0.norm.weight") {
		return nil, nil
	}
	conv, in := s.Shape(inLayer+".weight"), s.Shape("distilled_guidance_layer.in_proj.weight")
	embed, made := s.Shape("nerf_image_embedder.embedder.0.weight"), s.Shape("nerf_blocks.0.param_generator.weight")
	if len(conv) != 4 || conv[1] != rgb || conv[2] != conv[3] || conv[2] == 0 || len(in) != 2 || len(embed) != 2 || embed[0] == 0 || len(made) != 2 {
		return nil, fmt.Errorf("reading the shape of the network: %s.weight is %v, distilled_guidance_layer.in_proj.weight %v, nerf_image_embedder.embedder.0.weight %v, nerf_blocks.0.param_generator.weight %v", inLayer, conv, in, embed, made)
	}
	src = flat{src}
	c, err := flux.ReadTrunk(weights.NewScope(src), conv[2], 16, 56, 56)
	if err != nil {
		return nil, err
	}
	c.Headless, c.Distilled = true, in[0]
	if s.Has("__sequential__") {
		c.TextAxes = []int{0}
	}
	trunk := func(c flux.Config) *flux.Model {
		return &flux.Model{Config: c, Head: flux.Head(src, latents.Pixels, sampling.Flux, sampling.Settings{Multiplier: 1}, "chroma", t5.KeyXXL)}
	}
	m := &model{
		Model: trunk(c), x0: s.Has("__x0__"),
		head: head{tokens: c.Hidden, pixel: embed[0], inner: made[0] / (3 * embed[0] * embed[0]) * embed[0], side: conv[2], convolved: s.Has("nerf_final_layer_conv.norm.weight")},
	}
	c.TextAxes = []int{0}
	m.sequential = trunk(c)
	return m, nil
}

// model is a diffusion model of the family.
type model struct {
	*flux.Model
	head
	// x0 reports that the network predicts the image.
	x0 bool
	// sequential is the model with its text tokens numbered.
	sequential *flux.Model

	activations family.Activations
}

// Option is the run option of ChromaRadianceOptions: a list of Options, the latest first. Upstream:
// transformer_options["chroma_radiance_options"].
const Option = "chroma_radiance_options"

// Options change how the network is run at sigmas from End to Start.
type Options struct {
	Start, End float32
	// Tile, unless negative, is the number of patches whose pixels are computed at once; 0 means all.
	Tile int
	// Sequential numbers the text tokens.
	Sequential bool
}

// Options implements family.Optioned.
func (m *model) Options() []string { return append(m.Model.Options(), Option) }

// options are the options in effect at a sigma: the earliest of the list.
func options(in sampling.Inputs) Options {
	out := Options{Tile: -1}
	list, _ := in.Options[Option].([]Options)
	for _, o := range list {
		if o.End <= in.Sigma && in.Sigma <= o.Start {
			out = o
		}
	}
	if out.Tile < 0 {
		out.Tile = tile
	}
	return out
}

// Predict implements family.Denoiser.
func (m *model) Predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	o := options(c.Inputs)
	trunk := m.Model
	if o.Sequential {
		trunk = m.sequential
	}
	tokens, grid, err := trunk.PredictTokens(ctx, run, c)
	if err != nil {
		return nil, err
	}
	y, err := m.pixels(ctx, run, c.X, tokens, grid, o.Tile)
	if err != nil || !m.x0 {
		return y, err
	}
	each := y.Len() / max(len(c.T), 1)
	for i, v := range y.Data {
		y.Data[i] = (c.X.Data[i] - v) / c.T[i/each]
	}
	return y, nil
}

// pixels computes the pixels of all patches, a tile of them at a time. Upstream: ChromaRadiance.forward_nerf.
func (m *model) pixels(ctx context.Context, run family.Runner, x, tokens *tensor.Tensor, grid dit.Grid, size int) (*tensor.Tensor, error) {
	patches, _, err := dit.Patchify(x, m.side, tensor.ChannelsLast)
	if err != nil {
		return nil, err
	}
	n, area := x.Dim(0)*grid.Tokens(), m.side*m.side
	if size == 0 || size > n {
		size = n
	}
	width := m.out()
	if err := run.Check("computing the pixels", m.activations.Of(m.tiles(), map[string]int{"N": size})+family.Product(2, n, area, width, 4)); err != nil {
		return nil, err
	}
	made := tensor.New(x.Dim(0), grid.Tokens(), area*width)
	places := family.Floats("places", dit.PixelPlaces(m.side, frequencies, frequencies-1))
	for from := 0; from < n; from += size {
		to := min(from+size, n)
		in := []family.Value{
			family.Floats("pixels", &tensor.Tensor{Shape: []int{to - from, area, rgb}, Data: patches.Data[from*area*rgb : to*area*rgb]}),
			family.Floats("tokens", &tensor.Tensor{Shape: []int{to - from, m.tokens}, Data: tokens.Data[from*m.tokens : to*m.tokens]}), places,
		}
		out, err := run.Run(ctx, m.tiles(), in, "out")
		if err != nil {
			return nil, err
		}
		copy(made.Data[from*area*width:], out["out"].Data)
	}
	grid.H, grid.W = grid.Height*m.side, grid.Width*m.side
	y, err := dit.Unpatchify(made, grid, tensor.ChannelsLast)
	if err != nil {
		return nil, err
	}
	if m.convolved {
		out, err := run.Run(ctx, m.last(), []family.Value{family.Floats("x", y)}, "out")
		if err != nil {
			return nil, err
		}
		y = out["out"]
	}
	return tensor.Crop(y, x.Dim(2), x.Dim(3))
}

// tiles is the graph of the pixels of some patches, last that of the convolution after them.
func (m *model) tiles() family.Graph {
	return family.Graph{Part: "unet pixels", Build: func(s family.Spec) (*onnx.Graph, error) { return s.Build("radiance pixels", m.Source, m.head.write) }}
}

func (m *model) last() family.Graph {
	return family.Graph{Part: "unet last", Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) { return s.Build("radiance last", m.Source, m.head.writeLast) }}
}

// Memory implements family.Denoiser.
func (m *model) Memory(shape []int, tokens int) int64 {
	n := shape[0] * dit.GridOf(shape, m.side).Tokens()
	pixels := m.activations.Of(m.tiles(), map[string]int{"N": min(n, tile)}) + family.Product(2, n, m.side, m.side, m.out(), 4)
	return max(m.Model.Memory(shape, tokens), pixels)
}
