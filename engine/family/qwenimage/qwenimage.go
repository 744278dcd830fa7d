// Package qwenimage is the family of Qwen-Image: text and image tokens attend together in double blocks, and images to edit are
// further tokens.
package qwenimage

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/latents"
	"comfygo/engine/family/lm"
	"comfygo/engine/onnx"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(kind{}) }

// text is the type of the family's text encoder in the CLIP loaders.
const text = "qwen_image"

type kind struct{}

// Name implements family.Family.
func (kind) Name() string { return "Qwen-Image" }

// Rank implements family.Family.
func (kind) Rank() int { return 830 }

// Read implements family.Diffusion.
func (kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	s := weights.NewScope(src)
	if !s.Has("txt_norm.weight") || !s.Has("transformer_blocks.0.img_mlp.net.0.proj.weight") {
		return nil, nil
	}
	if text, last := s.Shape("txt_norm.weight"), s.Shape("proj_out.weight"); len(text) > 0 && text[0] == 2560 && len(last) > 0 && last[0] == 128 {
		return nil, nil // Mage-Flow
	}
	c, err := ReadConfig(s, side)
	if err != nil {
		return nil, err
	}
	return newModel(c, src), nil
}

// side is the side of a token in latent cells.
const side = 2

func newModel(c Config, src weights.Source) *Model {
	return &Model{Config: c, Head: dit.Head{
		Source: src, Format: latents.Wan21, Type: sampling.Flux, Settings: sampling.Settings{Shift: 1.15}, Loader: text, Encoders: []string{lm.KeyQwen25M},
	}}
}

// Model is a diffusion model of this kind; families fill it in.
type Model struct {
	Config
	dit.Head

	activations family.Activations
}

var (
	_ family.Denoiser  = (*Model)(nil)
	_ family.Bundle    = (*Model)(nil)
	_ family.Adaptable = (*Model)(nil)
	_ family.Typed     = (*Model)(nil)
	_ family.Steered   = (*Model)(nil)
)

// LoRAKeys implements family.Adaptable. Upstream: lora.py model_lora_keys_unet.
func (m *Model) LoRAKeys(keys *patch.KeyMap, part string) {
	m.Head.LoRAKeys(keys, part)
	var names dit.Names
	for _, n := range m.Source.Names() {
		if e, ok := m.Source.Lookup(n); ok && len(e.Shape) > 0 {
			if layer, ok := dit.LayerOf(n); ok {
				names.Layer(layer, layer)
			}
		}
	}
	names.AddTo(keys, part, dit.Prefixed(""), dit.Prefixed("transformer."), dit.Underscored("lycoris_"))
}

// The names of inputs beside the text encoding.
const (
	// inputMask reports which text tokens count, [N,tokens].
	inputMask = "attention_mask"
	// inputMethod is the place in methods of how reference latents are placed [1].
	inputMethod = "ref_latents_method"
)

// inputReference is the name of reference latent i [N,C,T,h,w].
func inputReference(i int) string { return fmt.Sprintf("ref_latents.%d", i) }

// Inputs implements family.Denoiser.
func (m *Model) Inputs(c *sampling.Cond, r sampling.Request) ([]sampling.Input, error) {
	if c.Tokens == nil {
		return nil, errors.New("reading a conditioning entry: it has no text encoding, which this model needs: connect the output of CLIP Text Encode")
	}
	in := []sampling.Input{{Name: sampling.InputContext, Value: c.Tokens, Rule: sampling.ByRows}}
	mask, err := sampling.Value[*tensor.Tensor](c, sampling.KeyAttentionMask)
	if err != nil {
		return nil, err
	}
	if mask != nil && slices.Contains(mask.Data, 0) {
		in = append(in, sampling.Input{Name: inputMask, Value: mask, Rule: sampling.ByRows})
	}
	refs, err := sampling.References(c, r.Format)
	if err != nil || len(refs) == 0 {
		return in, err
	}
	for i, x := range refs {
		in = append(in, sampling.Input{Name: inputReference(i), Value: x, Rule: sampling.ByRows})
	}
	method, err := sampling.Value[string](c, sampling.KeyReferenceMethod)
	if err != nil {
		return nil, err
	}
	place := methodOf(method, m.Method)
	return append(in, sampling.Input{Name: inputMethod, Value: &tensor.Tensor{Shape: []int{1}, Data: []float32{float32(place)}}, Rule: sampling.Shared}), nil
}

// Predict implements family.Denoiser.
func (m *Model) Predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	shape := c.X.Shape
	if !m.Format.Video {
		c.X = dit.Video(c.X)
	}
	if err := dit.CheckLatent(c, m.Channels, 5); err != nil {
		return nil, err
	}
	if err := dit.CheckText(c.Inputs.Get(sampling.InputContext), c.X.Dim(0), m.Text); err != nil {
		return nil, err
	}
	p, err := m.prepare(c)
	if err != nil {
		return nil, err
	}
	image, text := p.in[0].Tensor.Dim(1), c.Inputs.Get(sampling.InputContext).Dim(1)
	if err := run.Check("running the model", m.memory(p.v, c.X.Dim(0), image, text, p.tokens-image-text)); err != nil {
		return nil, err
	}
	out, err := run.Run(ctx, m.graph(p.v, c.Attached...), p.in, "out")
	if err != nil {
		return nil, err
	}
	y, err := dit.UnpatchifyFrames(out["out"], m.Patch, tensor.ChannelsFirst, c.X.Shape)
	if err != nil {
		return nil, err
	}
	return y.Reshape(shape...)
}

// Memory implements family.Denoiser.
func (m *Model) Memory(shape []int, tokens int) int64 {
	return m.memory(variant{}, shape[0], dit.FramesOf(shape)*dit.GridOf(shape, m.Patch).Tokens(), tokens, 0)
}

func (m *Model) memory(v variant, rows, image, text, refs int) int64 {
	v.Patches, v.Tokens = nil, nil // with the activations of one more layer
	return m.activations.Of(m.graph(v), map[string]int{"B": rows, "X": image, "T": text, "R": refs})
}

func (m *Model) graph(v variant, patches ...family.Attached) family.Graph {
	return family.Graph{Part: "unet", Variant: family.Digest(m.Config, v), Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return m.build(s, dit.WithAttached(m.Source, patches), v)
	}}
}
