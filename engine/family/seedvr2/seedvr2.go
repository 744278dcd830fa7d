// Package seedvr2 is the family of SeedVR2: diffusion models that restore and upscale images and videos in one step, with their VAE. Their
// files carry the two text encodings that they are run with.
package seedvr2

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
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
func (kind) Name() string { return "SeedVR2" }

// Rank implements family.Family.
func (kind) Rank() int { return 750 }

// side is the side of a patch in latent cells. channels are those of a latent; the network also reads the latent of the video that it
// restores, and a mask.
const (
	side     = 2
	channels = 16
	given    = channels + 1
)

// format is the latent format. The VAE itself scales its latents.
var format = sampling.LatentFormat{Channels: channels, Scale: 1, Downscale: 8, Video: true}

// The keys of the text encodings in the file.
const (
	positiveKey = "positive_conditioning"
	negativeKey = "negative_conditioning"
)

// config describes a network.
type config struct {
	// hidden is the width of a token, text that of the text encoding, head that of a head.
	hidden, text, head, heads, blocks int
	// joint reports the form of 3B: text tokens have positions, too, and the last block changes only the video. Without it, positions are
	// those of 7B.
	joint bool
}

// Read implements family.Diffusion. Upstream: model_detection.py, ldm/seedvr/model.py NaDiT.
func (kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	s := weights.NewScope(src)
	in := s.Shape("vid_in.proj.weight")
	if in == nil || !s.Has("emb_in.proj_hid.weight") || s.Count("blocks") == 0 {
		return nil, nil
	}
	for _, key := range []string{positiveKey, negativeKey} {
		if !s.Has(key) {
			return nil, fmt.Errorf("%s is missing: take a file that was converted for ComfyUI, which carries the text encodings of the model", key)
		}
	}
	out, prompt := s.Shape("vid_out.proj.weight"), s.Shape(positiveKey)
	first := s.At("blocks.0.attn")
	qkv, norm := ofKind(first.At("proj_qkv"), video).Shape("weight"), ofKind(first.At("norm_q"), video).Shape("weight")
	if len(in) != 2 || len(out) != 2 || len(prompt) != 2 || len(qkv) != 2 || len(norm) != 1 || norm[0] < 2 || norm[0]%2 != 0 || min(in[0], qkv[0], prompt[0], prompt[1]) == 0 || qkv[0]%(3*norm[0]) != 0 {
		return nil, fmt.Errorf("reading the shape of the network: vid_in.proj.weight is %v, vid_out.proj.weight %v, %s %v, blocks.0.attn.proj_qkv %v and norm_q %v", in, out, positiveKey, prompt, qkv, norm)
	}
	if in[1] != (channels+given)*side*side || out[0] != channels*side*side {
		return nil, fmt.Errorf("it reads %d values for each patch and gives %d: models of this family read %d and give %d", in[1], out[0], (channels+given)*side*side, channels*side*side)
	}
	c := config{hidden: in[0], text: prompt[1], head: norm[0], heads: qkv[0] / 3 / norm[0], blocks: s.Count("blocks"), joint: s.Has("vid_out_norm.weight")}
	return &model{config: c, Head: dit.Head{
		Source: src, Format: format, Type: sampling.Flow, Settings: sampling.Settings{Shift: 1},
		Types: []dtype.DType{dtype.BF16, dtype.F16, dtype.F32},
	}}, nil
}

// model is a diffusion model of the family.
type model struct {
	config
	dit.Head

	activations family.Activations
}

var (
	_ family.Denoiser  = (*model)(nil)
	_ family.Prompting = (*model)(nil)
	_ family.Needing   = (*model)(nil)
)

// Prompts implements family.Prompting.
func (m *model) Prompts() (positive, negative *tensor.Tensor, err error) {
	read := func(key string) (*tensor.Tensor, error) {
		e, ok := m.Source.Lookup(key)
		if !ok || len(e.Shape) != 2 {
			return nil, fmt.Errorf("reading %s: the file holds no table of that name", key)
		}
		v, err := weights.Float32s(e)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", key, err)
		}
		return &tensor.Tensor{Shape: []int{1, e.Shape[0], e.Shape[1]}, Data: v}, nil
	}
	if positive, err = read(positiveKey); err != nil {
		return nil, nil, err
	}
	negative, err = read(negativeKey)
	return positive, negative, err
}

// Needs implements family.Needing.
func (m *model) Needs(shape []int) map[string]any {
	shape = slices.Clone(shape)
	shape[1] = given
	return map[string]any{sampling.KeyCondition: tensor.New(shape...)}
}

// LoRAKeys implements family.Adaptable: adapter files have the layers' own names, too.
func (m *model) LoRAKeys(keys *patch.KeyMap, part string) {
	m.Head.LoRAKeys(keys, part)
	for _, n := range m.Source.Names() {
		if layer, ok := dit.LayerOf(n); ok {
			keys.AddKey(layer, part+n)
		}
	}
}

// inputCondition is the latent of the video that is restored, with its mask [N,17,T,H,W].
const inputCondition = "condition"

// Inputs implements family.Denoiser.
func (m *model) Inputs(c *sampling.Cond, _ sampling.Request) ([]sampling.Input, error) {
	cond, err := sampling.Value[*tensor.Tensor](c, sampling.KeyCondition)
	switch {
	case err != nil:
		return nil, err
	case cond == nil || c.Tokens == nil:
		return nil, errors.New("the model restores a video and reads its latent: connect SeedVR2Conditioning")
	}
	return []sampling.Input{
		{Name: sampling.InputContext, Value: c.Tokens, Rule: sampling.ByRows},
		{Name: inputCondition, Value: cond, Rule: sampling.ByRows},
	}, nil
}

// Predict implements family.Denoiser.
func (m *model) Predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	if err := dit.CheckLatent(c, channels, 5); err != nil {
		return nil, err
	}
	text, cond := c.Inputs.Get(sampling.InputContext), c.Inputs.Get(inputCondition)
	if err := dit.CheckText(text, c.X.Dim(0), m.text); err != nil {
		return nil, err
	}
	want := slices.Clone(c.X.Shape)
	want[1] = given
	if cond == nil || !slices.Equal(cond.Shape, want) {
		return nil, fmt.Errorf("the latent of the video that is restored has to be of the size of the sampled one: it is %v, wanted %v", shapeOf(cond), want)
	}
	tokens, grid, err := dit.PatchifyFrames(dit.Channels(c.X, cond), side, tensor.ChannelsLast)
	if err != nil {
		return nil, err
	}
	l := layoutOf(c.X.Dim(2), grid.Height, grid.Width)
	turns, err := m.turns(run)
	if err != nil {
		return nil, err
	}
	in := []family.Value{family.Floats("x", tokens), family.Vector("timesteps", c.T), family.Floats("context", text), places(text.Dim(1))}
	for i, windows := range l {
		in = append(in, m.windowValues(prefixes[i], windows, l.tokens(), text.Dim(1), turns[i])...)
	}
	g := m.graph()
	if err = run.Check("running the model", m.activations.Of(g, m.sizes(c.X.Dim(0), l, text.Dim(1)))); err != nil {
		return nil, err
	}
	out, err := run.Run(ctx, g, in, "out")
	if err != nil {
		return nil, err
	}
	return dit.UnpatchifyFrames(out["out"], side, tensor.ChannelsLast, c.X.Shape)
}

// places is the input of the places of the text in a window: the first ones.
func places(text int) family.Value {
	out := make([]int64, text)
	for i := range out {
		out[i] = int64(i)
	}
	return family.Ints("texts", out, text)
}

// shapeOf is the shape of t, nil for none.
func shapeOf(t *tensor.Tensor) []int {
	if t == nil {
		return nil
	}
	return t.Shape
}

// sizes are the symbols of the graph.
func (m *model) sizes(rows int, l layout, text int) map[string]int {
	out := map[string]int{"B": rows, "S": l.tokens(), "T": text}
	for i, windows := range l {
		out[prefixes[i]+"W"], out[prefixes[i]+"L"] = len(windows), text+longest(windows)
	}
	return out
}

func (m *model) graph() family.Graph {
	return family.Graph{Part: "unet", Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("seedvr2", m.Source, func(b *nn.Builder, s *weights.Scope) { (&writer{Builder: b, config: m.config}).write(s) })
	}}
}

// Memory implements family.Denoiser.
func (m *model) Memory(shape []int, tokens int) int64 {
	g := dit.GridOf(shape, side)
	return m.activations.Of(m.graph(), m.sizes(shape[0], layoutOf(dit.FramesOf(shape), g.Height, g.Width), max(tokens, 1)))
}
