// Package mochi is the family of Mochi: a diffusion model for videos from text, its VAE and its text encoding, T5-XXL alone, with a mask.
package mochi

import (
	"context"
	"fmt"
	"math"
	"slices"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/latents"
	"comfygo/engine/family/t5"
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
func (kind) Name() string { return "Mochi" }

// Rank implements family.Family.
func (kind) Rank() int { return 320 }

// side is the side of a patch in latent cells, poolHeads the number of heads that pool the text.
const (
	side      = 2
	poolHeads = 8
)

// config describes a network.
type config struct {
	// hidden is the width of an image token, narrow that of a text token, text that of the text encoding, head that of a head.
	hidden, narrow, text, head, channels, blocks int
}

// Read implements family.Diffusion.
func (kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	s := weights.NewScope(src)
	y := s.Shape("t5_yproj.weight")
	if y == nil {
		return nil, nil
	}
	in, norm, out := s.Shape("x_embedder.proj.weight"), s.Shape("blocks.0.attn.q_norm_x.weight"), s.Shape("final_layer.linear.weight")
	if len(y) != 2 || len(in) != 4 || len(norm) != 1 || len(out) != 2 || norm[0] == 0 || norm[0]%2 != 0 || in[0]%norm[0] != 0 || in[2] != side || y[1]%poolHeads != 0 {
		return nil, fmt.Errorf("reading the shape of the network: x_embedder.proj.weight is %v, t5_yproj.weight %v, blocks.0.attn.q_norm_x.weight %v, final_layer.linear.weight %v", in, y, norm, out)
	}
	c := config{hidden: in[0], narrow: y[0], text: y[1], head: norm[0], channels: in[1], blocks: s.Count("blocks")}
	if c.channels != latents.Mochi.Channels || out[0] != side*side*c.channels {
		return nil, fmt.Errorf("it reads %d channels and gives %d: models of this family read and give %d", c.channels, out[0]/(side*side), latents.Mochi.Channels)
	}
	return &model{config: c, Head: dit.Head{
		Source: src, Format: latents.Mochi, Type: sampling.Flow, Settings: sampling.Settings{Shift: 6, Multiplier: 1},
		Loader: schemeName, Encoders: []string{t5.KeyXXL}, Read: []string{sampling.OptionSkipDouble},
	}}, nil
}

// model is a diffusion model of the family.
type model struct {
	config
	dit.Head

	activations family.Activations
}

var _ family.Denoiser = (*model)(nil)

// LoRAKeys implements family.Adaptable: adapter files have the layers' own names, too. Upstream: lora.py model_lora_keys_unet.
func (m *model) LoRAKeys(keys *patch.KeyMap, part string) {
	keys.AddGeneric(part, m.Source.Names())
	for _, n := range m.Source.Names() {
		if layer, ok := dit.LayerOf(n); ok {
			keys.AddKey(layer, part+n)
		}
	}
}

// The names of the inputs beside the text encoding.
const (
	// inputMask is 1 for the tokens of the text and 0 for what fills it up [N,T].
	inputMask = "attention_mask"
	// inputTokens is the number of tokens that images attend to [1].
	inputTokens = "num_tokens"
	// mostTokens is that number for an entry without a mask.
	mostTokens = 256
)

// Inputs implements family.Denoiser.
func (m *model) Inputs(c *sampling.Cond, _ sampling.Request) ([]sampling.Input, error) {
	if c.Tokens == nil {
		return nil, dit.ErrNoText
	}
	mask, err := sampling.Value[*tensor.Tensor](c, sampling.KeyAttentionMask)
	if err != nil {
		return nil, err
	}
	in := []sampling.Input{{Name: sampling.InputContext, Value: c.Tokens, Rule: sampling.ByRows}}
	count := float32(mostTokens)
	if mask != nil {
		if len(mask.Shape) != 2 || len(c.Tokens.Shape) != 3 || mask.Dim(1) != c.Tokens.Dim(1) {
			return nil, fmt.Errorf("reading a conditioning entry: its mask has shape %v, its text encoding %v", mask.Shape, c.Tokens.Shape)
		}
		count = 0
		for _, v := range mask.Data {
			count += v
		}
		in = append(in, sampling.Input{Name: inputMask, Value: mask, Rule: sampling.ByRows})
	}
	tokens := &tensor.Tensor{Shape: []int{1}, Data: []float32{max(1, count)}}
	return append(in, sampling.Input{Name: inputTokens, Value: tokens, Rule: sampling.Shared}), nil
}

// Predict implements family.Denoiser.
func (m *model) Predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	if err := dit.CheckLatent(c, m.channels, 5); err != nil {
		return nil, err
	}
	text := c.Inputs.Get(sampling.InputContext)
	rows := c.X.Dim(0)
	if err := dit.CheckText(text, rows, m.text); err != nil {
		return nil, err
	}
	mask := c.Inputs.Get(inputMask)
	if mask != nil && !slices.Equal(mask.Shape, text.Shape[:2]) {
		return nil, fmt.Errorf("an attention mask of shape %v does not fit a text encoding of shape %v", mask.Shape, text.Shape)
	}
	x, err := dit.WrapVideo(c.X, 1, side)
	if err != nil {
		return nil, err
	}
	seen := text.Dim(1)
	if n := c.Inputs.Get(inputTokens); n != nil && len(n.Data) == 1 {
		seen = min(seen, max(1, int(n.Data[0])))
	}
	passed := make([]float32, rows) // the network counts time from noise to video
	for i, t := range c.T {
		passed[i] = 1 - t
	}
	pool, poolMask := pooled(text, mask)
	sizes := m.sizes(x.Shape, text.Dim(1))
	sizes["N"] = seen
	g := m.graph(c.Inputs.Options)
	in := []family.Value{
		family.Floats("x", x), family.Vector("timesteps", passed), family.Floats("context", firstTokens(text, seen)),
		family.Floats("pool", pool), family.Floats("mask", poolMask), family.Floats("places", places(sizes["F"], sizes["h"], sizes["w"])),
	}
	if err = run.Check("running the model", m.activations.Of(m.graph(nil), sizes)); err != nil {
		return nil, err
	}
	out, err := run.Run(ctx, g, in, "out")
	if err != nil {
		return nil, err
	}
	y, err := dit.UnpatchifyFrames(out["out"], side, tensor.ChannelsLast, x.Shape)
	if err != nil {
		return nil, err
	}
	return dit.CutVideo(y, c.X.Shape)
}

// pooled returns the mean of the tokens that a mask leaves before all tokens, and the mask with a one before it. A nil mask leaves all.
func pooled(text, mask *tensor.Tensor) (tokens, all *tensor.Tensor) {
	n, t, c := text.Dim(0), text.Dim(1), text.Dim(2)
	tokens, all = tensor.New(n, t+1, c), tensor.New(n, t+1)
	for b := range n {
		row, from := tokens.Index(b).Data, text.Index(b).Data
		copy(row[c:], from)
		all.Data[b*(t+1)] = 1
		shares, total := make([]float32, t), float32(0)
		for i := range shares {
			shares[i] = 1
			if mask != nil {
				shares[i] = mask.Data[b*t+i]
			}
			all.Data[b*(t+1)+1+i] = shares[i]
			total += shares[i]
		}
		for i, share := range shares {
			for k, v := range from[i*c : (i+1)*c] {
				row[k] += v * share / max(total, 1)
			}
		}
	}
	return tokens, all
}

// firstTokens are the first n tokens of a text encoding.
func firstTokens(text *tensor.Tensor, n int) *tensor.Tensor {
	out := tensor.New(text.Dim(0), n, text.Dim(2))
	for b := range text.Dim(0) {
		copy(out.Index(b).Data, text.Index(b).Data)
	}
	return out
}

// places are frame, row and column of patches, [F·h·w,3], as if images had one area, their centre in the origin. Upstream:
// rope_mixed.py create_position_matrix.
func places(frames, h, w int) *tensor.Tensor {
	const area = 192 * 192
	scale := math.Sqrt(area / float64(h*w))
	centres := func(n int) []float32 {
		edge := func(i int) float32 { return float32(float64(n) * scale * (float64(i)/float64(n) - 0.5)) }
		out := make([]float32, n)
		for i := range out {
			out[i] = (edge(i) + edge(i+1)) / 2
		}
		return out
	}
	rows, cols := centres(h), centres(w)
	out := tensor.New(frames*h*w, 3)
	at := out.Data[:0]
	for f := range frames {
		for _, row := range rows {
			for _, col := range cols {
				at = append(at, float32(f), row, col)
			}
		}
	}
	return out
}

// sizes are the symbols of the graph for latents of a shape.
func (m *model) sizes(shape []int, tokens int) map[string]int {
	g := dit.GridOf(shape, side)
	return map[string]int{"B": shape[0], "F": dit.FramesOf(shape), "h": g.Height, "w": g.Width, "T": tokens + 1, "N": tokens}
}

func (m *model) graph(options map[string]any) family.Graph {
	skip, _ := dit.Skipped(options)
	return family.Graph{Part: "unet", Variant: family.Digest(skip), Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("mochi", m.Source, func(b *nn.Builder, s *weights.Scope) { (&writer{Builder: b, config: m.config, skip: skip}).write(s) })
	}}
}

// Memory implements family.Denoiser.
func (m *model) Memory(shape []int, tokens int) int64 {
	return m.activations.Of(m.graph(nil), m.sizes(shape, tokens))
}
