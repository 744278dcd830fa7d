package ltxv

import (
	"context"
	"fmt"
	"math"
	"slices"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
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

// kind registers LTX-Video.
type kind struct{}

// Name implements family.Family.
func (kind) Name() string { return "LTX-Video" }

// Rank implements family.Family.
func (kind) Rank() int { return 330 }

// Read implements family.Diffusion.
func (kind) Read(src, whole weights.Source) (family.Denoiser, error) {
	s := weights.NewScope(src)
	if !s.Has("adaln_single.emb.timestep_embedder.linear_1.bias") || s.Has("audio_adaln_single.linear.weight") || !s.Has("caption_projection.linear_1.weight") {
		return nil, nil
	}
	c, err := readConfig(src)
	if err != nil {
		return nil, err
	}
	return &model{config: c, src: src}, nil
}

// model is a diffusion model of the family.
type model struct {
	config
	src weights.Source

	activations family.Activations
}

var (
	_ family.Denoiser  = (*model)(nil)
	_ family.Bundle    = (*model)(nil)
	_ family.Adaptable = (*model)(nil)
	_ family.Typed     = (*model)(nil)
	_ family.Keeping   = (*model)(nil)
	_ family.Optioned  = (*model)(nil)
)

// Latent implements family.Denoiser.
func (m *model) Latent() sampling.LatentFormat { return Latent }

// Sampling implements family.Denoiser.
func (m *model) Sampling() (sampling.ModelType, sampling.Settings) {
	return sampling.Flux, sampling.Settings{Shift: 2.37}
}

// Weights implements family.Denoiser.
func (m *model) Weights() weights.Source { return m.src }

// Scheme implements family.Bundle.
func (m *model) Scheme() string { return "ltxv" }

// TextPrefixes implements family.Bundle.
func (m *model) TextPrefixes() map[string][]string {
	return map[string][]string{t5.KeyXXL: {"text_encoders.t5xxl.transformer."}}
}

// ComputeTypes implements family.Typed, by upstream's supported_inference_dtypes.
func (m *model) ComputeTypes() []dtype.DType { return []dtype.DType{dtype.BF16, dtype.F32} }

// Options implements family.Optioned.
func (m *model) Options() []string { return []string{sampling.OptionPassAttention} }

// LoRAKeys implements family.Adaptable. Upstream: lora.py model_lora_keys_unet.
func (m *model) LoRAKeys(keys *patch.KeyMap, part string) { loraKeys(keys, part, m.src.Names()) }

func loraKeys(keys *patch.KeyMap, part string, all []string) {
	keys.AddGeneric(part, all)
	var names dit.Names
	for _, n := range all {
		if layer, ok := dit.LayerOf(n); ok {
			names.Layer(layer, layer)
		}
	}
	names.AddTo(keys, part, dit.Prefixed("transformer."), dit.Prefixed(""))
}

// Kept implements family.Keeping: given frames are read without noise.
func (m *model) Kept(_ float32, latent *tensor.Tensor) *tensor.Tensor { return latent }

// The names of the inputs beside the text encoding.
const (
	inputMask  = "attention_mask"
	inputRate  = "frame_rate"
	inputNoise = "denoise_mask"
	// inputGuides are the corners of the tokens of guides [N,3,tokens,2], which are the last ones of the latent.
	inputGuides = "keyframe_idxs"
	// inputStrengths are how strongly these tokens and the others attend to each other [1,tokens], without those left out.
	inputStrengths = "guide_strengths"
)

// Inputs implements family.Denoiser.
func (m *model) Inputs(c *sampling.Cond, r sampling.Request) ([]sampling.Input, error) {
	if c.Tokens == nil {
		return nil, dit.ErrNoText
	}
	in := []sampling.Input{{Name: sampling.InputContext, Value: c.Tokens, Rule: sampling.ByRows}}
	hidden, err := sampling.Value[*tensor.Tensor](c, sampling.KeyAttentionMask)
	if err != nil {
		return nil, err
	}
	if hidden != nil && dit.Hides(hidden) {
		in = append(in, sampling.Input{Name: inputMask, Value: hidden, Rule: sampling.ByRows})
	}
	more, err := VideoInputs(c, r)
	return append(in, more...), err
}

// VideoInputs are the inputs of a conditioning entry beside its text: the frame rate, the noise mask and guides.
func VideoInputs(c *sampling.Cond, r sampling.Request) ([]sampling.Input, error) {
	var in []sampling.Input
	if c.Values[sampling.KeyFrameRate] != nil {
		rate, err := sampling.Number(c, sampling.KeyFrameRate)
		if err != nil {
			return nil, err
		}
		in = append(in, sampling.Input{Name: inputRate, Value: &tensor.Tensor{Shape: []int{1}, Data: []float32{float32(rate)}}, Rule: sampling.Shared})
	}
	noise, err := sampling.Value[*tensor.Tensor](c, sampling.KeyConcatMask)
	if err != nil {
		return nil, err
	}
	if noise == nil {
		noise = r.Mask
	}
	if noise != nil {
		if len(noise.Shape) != 5 || noise.Dim(1) == 0 || !slices.Equal(noise.Shape[2:], r.Shape[2:]) {
			return nil, fmt.Errorf("reading the noise mask: shape %v does not fit latents of shape %v", noise.Shape, r.Shape)
		}
		noise = dit.FirstChannels(noise, 1)
		in = append(in, sampling.Input{Name: inputNoise, Value: noise, Rule: sampling.ByRows})
	}
	guides, err := sampling.Value[*tensor.Tensor](c, sampling.KeyGuidePlaces)
	if err != nil || guides == nil || guides.Len() == 0 {
		return in, err
	}
	if err := checkGuides(guides, r.Shape); err != nil {
		return nil, err
	}
	in = append(in, sampling.Input{Name: inputGuides, Value: guides, Rule: sampling.ByRows})
	entries, err := sampling.Value[[]sampling.GuideEntry](c, sampling.KeyGuideEntries)
	if err != nil || len(entries) == 0 {
		return in, err
	}
	strengths, err := strengthsOf(entries, kept(noise, r.Shape), guides.Dim(2))
	if strengths != nil {
		in = append(in, sampling.Input{Name: inputStrengths, Value: strengths, Rule: sampling.Shared})
	}
	return in, err
}

// checkGuides fails when the places of guides are not those of whole frames of a latent.
func checkGuides(guides *tensor.Tensor, shape []int) error {
	if len(guides.Shape) != 4 || guides.Dim(1) != 3 || guides.Dim(3) != 2 || len(shape) != 5 {
		return fmt.Errorf("reading the guides of a conditioning entry: their places have the shape %v, wanted [N,3,tokens,2]", guides.Shape)
	}
	frame, all := shape[3]*shape[4], tensor.Count(shape[2:])
	if guides.Dim(2)%max(frame, 1) != 0 || guides.Dim(2) > all {
		return fmt.Errorf("reading the guides of a conditioning entry: they have %d tokens, which are no whole frames of a latent of %d frames with %d tokens each: the guides were made for a latent of another size; crop them (LTXVCropGuides) before the latent is scaled",
			guides.Dim(2), shape[2], frame)
	}
	return nil
}

// kept reports for each token of a latent whether the network reads it: a noise mask below zero leaves tokens out, by its
// first row.
func kept(noise *tensor.Tensor, shape []int) []bool {
	out := make([]bool, tensor.Count(shape[2:]))
	for i := range out {
		out[i] = noise == nil || noise.Data[i] >= 0
	}
	return out
}

// strengthsOf are how strongly the tokens of guides and the others attend to each other, for those tokens that the network
// reads, [1,tokens]; nil if all strengths are 1. Upstream: _build_guide_self_attention_mask.
func strengthsOf(entries []sampling.GuideEntry, keep []bool, tokens int) (*tensor.Tensor, error) {
	total := 0
	for _, e := range entries {
		total += e.Tokens
	}
	if total != tokens {
		return nil, fmt.Errorf("reading the guides of a conditioning entry: they are said to have %d tokens, and have %d", total, tokens)
	}
	var out []float32
	at, plain := len(keep)-tokens, true
	for _, e := range entries {
		surviving := 0
		for _, k := range keep[at : at+e.Tokens] {
			if k {
				surviving++
			}
		}
		at += e.Tokens
		ws, err := e.Weights(surviving)
		if err != nil {
			return nil, err
		}
		out = append(out, ws...)
	}
	for _, v := range out {
		plain = plain && v == 1
	}
	if plain || len(out) == 0 {
		return nil, nil
	}
	return &tensor.Tensor{Shape: []int{1, len(out)}, Data: out}, nil
}

// Predict implements family.Denoiser.
func (m *model) Predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	text, hidden := c.Inputs.Get(sampling.InputContext), c.Inputs.Get(inputMask)
	rows := c.X.Dim(0)
	if err := dit.CheckLatent(c, m.channels, 5); err != nil {
		return nil, err
	}
	if err := dit.CheckText(text, rows, m.text); err != nil {
		return nil, err
	}
	video, err := TokensOf(c, m.settings.Causal)
	if err != nil {
		return nil, err
	}
	v := variant{Masked: hidden != nil, Guided: video.strengths != nil}
	if blocks, ok := c.Inputs.Options[sampling.OptionPassAttention].([]int); ok {
		v.Passing = blocks
	}
	times := video.groupedTimes(c.T)
	groups := times.Dim(1)
	x := &tensor.Tensor{Shape: []int{rows, groups, video.tokens.Dim(1) / groups, m.channels}, Data: video.tokens.Data}
	in := []family.Value{family.Floats("x", x), family.Floats("timesteps", times), family.Floats("context", text)}
	if v.Masked {
		if !slices.Equal(hidden.Shape, text.Shape[:2]) {
			return nil, fmt.Errorf("an attention mask of shape %v does not fit a text encoding of shape %v", hidden.Shape, text.Shape)
		}
		in = append(in, family.Floats("mask", hidden))
	}
	in = append(in, m.angles(video.places, video.rate)...)
	if v.Guided {
		in = append(in, video.guideValues(float32(1/math.Sqrt(float64(m.hidden/m.heads))))...)
	}
	if err := run.Check("running the model", m.memory(v, rows, groups, x.Dim(2), text.Dim(1))); err != nil {
		return nil, err
	}
	out, err := run.Run(ctx, m.graph(v), in, "out")
	if err != nil {
		return nil, err
	}
	return video.latent(out["out"], c.X.Shape)
}

func (m *model) graph(v variant) family.Graph {
	return family.Graph{Part: "unet", Variant: v.digest(), Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("ltx video", m.src, func(b *nn.Builder, s *weights.Scope) { write(b, s, m.config, v) })
	}}
}

// Memory implements family.Denoiser.
func (m *model) Memory(shape []int, tokens int) int64 {
	return m.memory(variant{}, shape[0], 1, tensor.Count(shape[2:]), tokens)
}

func (m *model) memory(v variant, rows, groups, tokens, text int) int64 {
	return m.activations.Of(m.graph(v), map[string]int{"B": rows, "G": groups, "L": tokens, "T": text})
}
