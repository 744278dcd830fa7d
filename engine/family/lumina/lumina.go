// Package lumina is the families of NextDiT: Lumina Image 2.0 and Z-Image. Text and image tokens are refined apart, then
// pass one stack of blocks together.
package lumina

import (
	"context"
	"errors"
	"fmt"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/latents"
	"comfygo/engine/family/lm"
	"comfygo/engine/onnx"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/engine/weights/layout"
)

func init() {
	family.Register(kind{name: "Z-Image on pixels", rank: 470, z: true, pixels: true})
	family.Register(kind{name: "Z-Image", rank: 480, z: true})
	family.Register(kind{name: "Lumina 2", rank: 510})
}

// text is the type of the families' text encoders in the CLIP loaders.
const text = "lumina2"

// kind is one of the families.
type kind struct {
	name string
	rank int
	// z distinguishes Z-Image from Lumina 2.
	z bool
	// pixels is for the models that read and give images.
	pixels bool
}

// Name implements family.Family.
func (k kind) Name() string { return k.name }

// Rank implements family.Family.
func (k kind) Rank() int { return k.rank }

// Read implements family.Diffusion.
func (k kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	src = layout.NextDiT(src)
	s := weights.NewScope(src)
	if !s.Has("cap_embedder.1.weight") || !s.Has("noise_refiner.0.attention.k_norm.weight") {
		return nil, nil
	}
	if k.z != s.Has("layers.0.adaLN_modulation.0.weight") || k.pixels != s.Has("dec_net.cond_embed.weight") {
		return nil, nil
	}
	c, err := read(s, k.z)
	if err != nil {
		return nil, err
	}
	head := dit.Head{
		Source: src, Format: latents.Flux, Type: sampling.Flow, Settings: sampling.Settings{Multiplier: 1, Shift: 6}, Loader: text,
		Encoders: []string{lm.KeyGemma2, lm.KeyGemma3S, lm.KeyQwen3M}, Types: []dtype.DType{dtype.BF16, dtype.F32}, // activations leave the range of float16
	}
	if k.z {
		head.Settings.Shift = 3
	}
	if c.Pixel > 0 {
		head.Format = latents.Pixels
	}
	return &Model{Config: c, Head: head}, nil
}

// Model is a diffusion model of the families.
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

// inputPooled is the name of the pooled text encoding [N,width], which NewBie reads.
const inputPooled = "pooled"

// Inputs implements family.Denoiser. Text and image tokens attend together, so only encodings of one length share a call.
func (m *Model) Inputs(c *sampling.Cond, r sampling.Request) ([]sampling.Input, error) {
	if c.Tokens == nil {
		return nil, errors.New("the model needs a text encoding: connect the output of CLIP Text Encode")
	}
	in := []sampling.Input{{Name: sampling.InputContext, Value: c.Tokens, Rule: sampling.ByRows}}
	more, err := m.references(c, r)
	if err != nil {
		return nil, err
	}
	in = append(in, more...)
	if m.Pooled == 0 {
		return in, nil
	}
	pooled := c.Pooled
	if pooled == nil {
		pooled = tensor.New(1, m.Pooled)
	}
	return append(in, sampling.Input{Name: inputPooled, Value: pooled, Rule: sampling.ByRows}), nil
}

// Predict implements family.Denoiser.
func (m *Model) Predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	if err := m.check(c); err != nil {
		return nil, err
	}
	if refs, _ := dit.GivenReferences(c.Inputs); len(refs) > 0 {
		return m.predictOmni(ctx, run, c, refs)
	}
	encoding := c.Inputs.Get(sampling.InputContext)
	if err := run.Check("running the model", m.Memory(c.X.Shape, encoding.Dim(1))); err != nil {
		return nil, err
	}
	x, err := tensor.WrapTo(c.X, m.Patch)
	if err != nil {
		return nil, err
	}
	in, err := m.values(x, encoding, c.T)
	if err != nil {
		return nil, err
	}
	if p := c.Inputs.Get(inputPooled); p != nil {
		in = append(in, family.Floats("pooled", p))
	}
	count := x.Dim(2) / m.Patch * (x.Dim(3) / m.Patch)
	in, v, err := attach(in, c.Attached, c.X.Dim(0), count)
	if err != nil {
		return nil, err
	}
	v.Whole = len(v.Patches) > 0 && (m.Pad == 0 || count%m.Pad == 0)
	out, err := run.Run(ctx, m.graph(v, c.Attached...), in, "out")
	if err != nil {
		return nil, err
	}
	return m.result(c, x, out)
}

// result is the prediction for a latent, whose padded form is x, from the outputs of the graph.
func (m *Model) result(c family.Call, x *tensor.Tensor, out map[string]*tensor.Tensor) (*tensor.Tensor, error) {
	y, err := tensor.FromPatches(out["out"], m.Patch, tensor.ChannelsLast, x.Dim(2), x.Dim(3))
	if err != nil {
		return nil, err
	}
	if y, err = tensor.Crop(y, c.X.Dim(2), c.X.Dim(3)); err != nil || m.Pixel == 0 {
		return y, err
	}
	each := len(y.Data) / max(len(c.T), 1)
	for i, v := range y.Data { // the network gives the image
		y.Data[i] = (c.X.Data[i] + v) / c.T[i/each]
	}
	return y, nil
}

// check fails for a call that does not fit the network.
func (m *Model) check(c family.Call) error {
	text, pooled := c.Inputs.Get(sampling.InputContext), c.Inputs.Get(inputPooled)
	switch {
	case len(c.X.Shape) != 4 || c.X.Dim(1) != m.Channels:
		return fmt.Errorf("the latent has shape %v, the model reads %d channels", c.X.Shape, m.Channels)
	case len(c.T) != c.X.Dim(0):
		return fmt.Errorf("%d timesteps for %d rows", len(c.T), c.X.Dim(0))
	case text == nil || len(text.Shape) != 3 || text.Dim(0) != c.X.Dim(0) || text.Dim(1) == 0:
		return errors.New("it needs a text encoding for each row")
	case text.Dim(2) != m.Text:
		return fmt.Errorf("the text encoding has width %d, the model reads %d: it comes from the text encoder of another family", text.Dim(2), m.Text)
	case m.Pooled > 0 && (pooled == nil || len(pooled.Shape) != 2 || pooled.Dim(0) != c.X.Dim(0) || pooled.Dim(1) != m.Pooled):
		return fmt.Errorf("it needs a pooled text encoding of %d values for each row", m.Pooled)
	}
	return nil
}

// Memory implements family.Denoiser.
func (m *Model) Memory(shape []int, tokens int) int64 {
	image := dit.GridOf(shape, m.Patch).Tokens()
	return m.activations.Of(m.graph(variant{}), map[string]int{"B": shape[0], "X": image + m.Pad, "T": tokens + m.Pad})
}

func (m *Model) graph(v variant, patches ...family.Attached) family.Graph {
	return family.Graph{Part: "unet", Variant: family.Digest(m.Config, v), Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return m.build(s, dit.WithAttached(m.Source, patches), v)
	}}
}
