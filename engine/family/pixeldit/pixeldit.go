// Package pixeldit is the family of PixelDiT: blocks of text and image tokens on patches of pixels, then blocks on the pixels, in
// which each patch attends as one token; and of PiD, which decodes latents of other models by the same network.
package pixeldit

import (
	"context"
	"fmt"
	"math"
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/latents"
	"comfygo/engine/family/lm"
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
func (kind) Name() string { return "PixelDiT" }

// Rank implements family.Family.
func (kind) Rank() int { return 500 }

// corePrefix begins the names of the network's tensors in a file.
const corePrefix = "core."

// config describes a network.
type config struct {
	// width is the width of a token, heads the number of its attention heads, inner the width inside feed-forward layers; side is the
	// side of a patch in pixels.
	width, heads, inner, side int
	// pixel is the width of a pixel, attended that of a patch that attends in the blocks of pixels, pixelHeads the number of heads there,
	// pixelInner the width inside a pixel's feed-forward layer.
	pixel, attended, pixelHeads, pixelInner int
	// text is the width of the text encoding, most the greatest number of its tokens.
	text, most int
	// latent describes what reads a latent in PiD, nil in PixelDiT.
	latent *latentConfig
}

// Read implements family.Diffusion.
func (kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	if _, ok := src.Lookup(corePrefix + "pixel_embedder.proj.weight"); !ok {
		return nil, nil
	}
	src = dit.Rename(src, func(n string) string { return strings.TrimPrefix(n, corePrefix) })
	c, err := read(weights.NewScope(src))
	if err != nil {
		return nil, err
	}
	return c.model(src, 4), nil
}

// read reads the sizes of a network from its tensors.
func read(s *weights.Scope) (config, error) {
	dim := func(name string, axis int) int {
		if sh := s.Shape(name); axis < len(sh) {
			return sh[axis]
		}
		return 0
	}
	c := config{
		width: dim("s_embedder.proj.weight", 0), inner: dim("patch_blocks.0.mlp_x.w1.weight", 0), pixel: dim("pixel_embedder.proj.weight", 0),
		attended: dim("pixel_blocks.0.compress_to_attn.weight", 0), pixelInner: dim("pixel_blocks.0.mlp.fc1.weight", 0),
		text: dim("y_embedder.proj.weight", 1), most: dim("y_pos_embedding", 1),
	}
	c.side = int(math.Round(math.Sqrt(float64(dim("s_embedder.proj.weight", 1)) / rgb)))
	head, pixelHead := dim("patch_blocks.0.attn.q_norm_x.weight", 0), dim("pixel_blocks.0.attn.q_norm.weight", 0)
	if head == 0 || pixelHead == 0 || head%4 != 0 || pixelHead%4 != 0 || c.width%head != 0 || c.attended%pixelHead != 0 || c.pixel == 0 || c.pixel%4 != 0 || c.side == 0 ||
		c.side*c.side*rgb != dim("s_embedder.proj.weight", 1) || c.text == 0 || c.most == 0 || c.inner == 0 || c.pixelInner == 0 {
		return config{}, fmt.Errorf("its shapes make no network: width %d in heads of %d, patches of %d, %d a pixel, %d a patch of pixels in heads of %d, text of %d, at most %d tokens", c.width, head, c.side, c.pixel, c.attended, pixelHead, c.text, c.most)
	}
	c.heads, c.pixelHeads = c.width/head, c.attended/pixelHead
	return c, nil
}

// model returns the model of a network with the tensors of src.
func (c config) model(src weights.Source, shift float64) *model {
	return &model{config: c, Head: dit.Head{
		Source: src, Format: latents.Pixels, Type: sampling.Flow, Settings: sampling.Settings{Shift: shift}, Loader: loader, Encoders: []string{lm.KeyGemma2}, Read: []string{dit.OptionRotary},
	}}
}

// rgb is the number of channels of an image.
const rgb = 3

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
	_ family.Needing   = (*model)(nil)
)

// Inputs implements family.Denoiser. The network also reads padding: the mask of the text encoding has no effect.
func (m *model) Inputs(c *sampling.Cond, _ sampling.Request) ([]sampling.Input, error) {
	if c.Tokens == nil {
		return nil, dit.ErrNoText
	}
	if _, err := sampling.Value[*tensor.Tensor](c, sampling.KeyAttentionMask); err != nil {
		return nil, err
	}
	in := []sampling.Input{{Name: sampling.InputContext, Value: c.Tokens, Rule: sampling.ByRows}}
	if m.latent == nil {
		return in, nil
	}
	more, err := m.latent.inputs(c)
	return append(in, more...), err
}

// Predict implements family.Denoiser.
func (m *model) Predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	text, rows := c.Inputs.Get(sampling.InputContext), c.X.Dim(0)
	if err := dit.CheckLatent(c, rgb, 4); err != nil {
		return nil, err
	}
	if err := dit.CheckText(text, rows, m.text); err != nil {
		return nil, err
	}
	if text.Dim(1) > m.most {
		cut := tensor.New(rows, m.most, m.text)
		for i := range rows {
			copy(cut.Index(i).Data, text.Index(i).Data)
		}
		text = cut
	}
	var in []family.Value
	if m.latent != nil {
		var err error
		if in, err = m.latentValues(run, c); err != nil {
			return nil, err
		}
	}
	if err := run.Check("running the model", m.Memory(c.X.Shape, text.Dim(1))); err != nil {
		return nil, err
	}
	first, grid, err := dit.Patchify(c.X, m.side, tensor.ChannelsFirst)
	if err != nil {
		return nil, err
	}
	last, _, err := dit.Patchify(c.X, m.side, tensor.ChannelsLast)
	if err != nil {
		return nil, err
	}
	if last, err = last.Reshape(rows, grid.Tokens(), m.side*m.side, rgb); err != nil {
		return nil, err
	}
	in = append(in, family.Floats("patches", first), family.Floats("pixels", last), family.Floats("times", times(c.T)), family.Floats("context", text), family.Floats("places", m.places(grid)))
	index := make([]int64, text.Dim(1))
	for i := range index {
		index[i] = int64(i)
	}
	in = append(in, family.Ints("index", index, len(index)))
	r := dit.RotaryOf(c.Inputs.Options, dit.Unscaled)
	in = append(in, m.angles("image", grid, m.width/m.heads, r)...)
	in = append(in, m.angles("pixel", grid, m.attended/m.pixelHeads, r)...)
	in = append(in, textAngles(text.Dim(1), m.width/m.heads)...)
	out, err := run.Run(ctx, m.graph(), in, "out")
	if err != nil {
		return nil, err
	}
	return dit.Unpatchify(out["out"], grid, tensor.ChannelsLast)
}

// frequencies is the width of an embedded timestep.
const frequencies = 256

// times embeds timesteps, [N,256]: cosines, then sines, at frequencies down to a tenth.
func times(t []float32) *tensor.Tensor {
	const half = frequencies / 2
	out := tensor.New(len(t), frequencies)
	for n, v := range t {
		row := out.Index(n).Data
		for i := range half {
			angle := float64(v * float32(math.Exp(float64(float32(-math.Log(10))*float32(i)/half))))
			row[i], row[half+i] = float32(math.Cos(angle)), float32(math.Sin(angle))
		}
	}
	return out
}

// textAngles count text tokens.
func textAngles(n, head int) []family.Value {
	pos := make([]float64, n)
	for i := range pos {
		pos[i] = float64(i)
	}
	cos, sin := nn.RotaryTable(pos, 10000, head)
	shape := []int{1, n, head / 2}
	return []family.Value{family.Floats("cos_text", &tensor.Tensor{Shape: shape, Data: cos}), family.Floats("sin_text", &tensor.Tensor{Shape: shape, Data: sin})}
}

// angles are the angles of the patches of an image, whose sides span sixteen positions: pairs rotate alternately by column and row. PiD
// raises the base of the frequencies with the size of the image. Upstream: precompute_freqs_cis_2d.
func (c config) angles(of string, g dit.Grid, head int, r dit.Rotary) []family.Value {
	const span = 16
	line := func(n int, shift, scale float64) []float64 {
		out := make([]float64, n)
		for i := range out {
			out[i] = float64(float32(shift + float64(i)*span*scale/float64(max(n-1, 1))))
		}
		return out
	}
	ys, xs := line(g.Height, r.ShiftY, r.ScaleY), line(g.Width, r.ShiftX, r.ScaleX)
	half := head / 2
	baseX, baseY := c.base(g.Width, half), c.base(g.Height, half)
	cos, sin := tensor.New(1, g.Tokens(), half), tensor.New(1, g.Tokens(), half)
	for t := range g.Tokens() {
		for i := range half {
			at, base := xs[t%g.Width], baseX
			if i%2 == 1 {
				at, base = ys[t/g.Width], baseY
			}
			angle := at * math.Pow(base, -2*float64(i/2)/float64(half))
			cos.Data[t*half+i], sin.Data[t*half+i] = float32(math.Cos(angle)), float32(math.Sin(angle))
		}
	}
	return []family.Value{family.Floats("cos_"+of, cos), family.Floats("sin_"+of, sin)}
}

// places are sines and cosines of each pixel's column and row, [1,patches,P²,pixel]. Upstream: get_2d_sincos_pos_embed.
func (m *model) places(g dit.Grid) *tensor.Tensor {
	area, quarter := m.side*m.side, m.pixel/4
	out := tensor.New(1, g.Tokens(), area, m.pixel)
	for t := range g.Tokens() {
		for p := range area {
			row := out.Data[(t*area+p)*m.pixel:]
			for axis, at := range []int{t%g.Width*m.side + p%m.side, t/g.Width*m.side + p/m.side} {
				for i := range quarter {
					frequency := 1 / float32(math.Pow(10000, float64(float32(i)/float32(quarter))))
					angle := float64(float32(at) * frequency)
					row[2*axis*quarter+i], row[(2*axis+1)*quarter+i] = float32(math.Sin(angle)), float32(math.Cos(angle))
				}
			}
		}
	}
	return out
}

func (m *model) graph() family.Graph {
	return family.Graph{Part: "unet", Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("pixeldit", m.Source, func(b *nn.Builder, s *weights.Scope) { write(b, s, m.config) })
	}}
}

// Memory implements family.Denoiser.
func (m *model) Memory(shape []int, tokens int) int64 {
	grid := dit.GridOf(shape, m.side)
	return m.activations.Of(m.graph(), map[string]int{"B": shape[0], "I": grid.Tokens(), "T": min(tokens, m.most), "h": grid.Height, "w": grid.Width})
}
