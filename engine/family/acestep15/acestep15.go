// Package acestep15 is the family of ACE-Step 1.5: music from tags, lyrics and codes that a language model writes.
package acestep15

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/lm"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(kind{}) }

// kind registers the family.
type kind struct{}

// Name implements family.Family.
func (kind) Name() string { return "ACE-Step 1.5" }

// Rank implements family.Family.
func (kind) Rank() int { return 780 }

// latentFormat is the format of the 64-channel VAE. Upstream: latent_formats.ACEAudio15.
var latentFormat = sampling.LatentFormat{Channels: channels, Scale: 1, Downscale: 1920, Temporal: 1764, Line: true}

const (
	// channels of latents, and of the additional inputs: a source latent and a mask of the generated part.
	channels, inChannels = 64, 3 * 64
	// patch is the number of latents in a token, pool the number of latents in a code.
	patchSize, pool = 2, 5
	// window is the reach of the layers with windowed attention.
	window = 128
	// keyLayer is the key by which the family is known.
	keyLayer = "encoder.lyric_encoder.layers.0.input_layernorm.weight"
)

// shape are the sizes of a stack of transformer layers.
type shape struct{ width, heads, kvHeads, head, inner, layers int }

// config describes a network.
type config struct {
	// main are the layers of the diffusion transformer; lyric, timbre, pooler and codes are those of the encoders of conditions.
	main, lyric, timbre, pooler, codes shape
	// text is the width of the text encoding, levels the number of code dimensions.
	text int
}

func dim(s *weights.Scope, name string, axis int) int {
	if sh := s.Shape(name); axis < len(sh) {
		return sh[axis]
	}
	return 0
}

// readShape reads the sizes of a stack of layers below a scope.
func readShape(s *weights.Scope) shape {
	l := s.At("layers").Index(0)
	out := shape{width: dim(l, "self_attn.q_proj.weight", 1), head: dim(l, "self_attn.q_norm.weight", 0), inner: dim(l, "mlp.gate_proj.weight", 0), layers: s.Count("layers")}
	if out.head > 0 {
		out.heads, out.kvHeads = dim(l, "self_attn.q_proj.weight", 0)/out.head, dim(l, "self_attn.k_proj.weight", 0)/out.head
	}
	return out
}

// valid reports whether the sizes form a stack of layers.
func (s shape) valid() bool {
	return s.width > 0 && s.head > 0 && s.head%2 == 0 && s.inner > 0 && s.layers > 0 && s.kvHeads > 0 && s.heads%s.kvHeads == 0
}

// Read implements family.Diffusion.
func (kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	s := weights.NewScope(src)
	if !s.Has(keyLayer) {
		return nil, nil
	}
	c := config{
		main: readShape(s.At("decoder")), lyric: readShape(s.At("encoder", "lyric_encoder")), timbre: readShape(s.At("encoder", "timbre_encoder")),
		pooler: readShape(s.At("tokenizer", "attention_pooler")), codes: readShape(s.At("detokenizer")), text: dim(s, "encoder.text_projector.weight", 1),
	}
	for _, part := range []shape{c.main, c.lyric, c.timbre, c.pooler, c.codes} {
		if !part.valid() || c.text == 0 || part != c.main && part.width != c.lyric.width {
			return nil, fmt.Errorf("reading the shape of the network: its layers are %+v", c)
		}
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
)

// Latent implements family.Denoiser.
func (m *model) Latent() sampling.LatentFormat { return latentFormat }

// Sampling implements family.Denoiser.
func (m *model) Sampling() (sampling.ModelType, sampling.Settings) {
	return sampling.Flow, sampling.Settings{Multiplier: 1, Shift: 3}
}

// ComputeTypes implements family.Typed.
func (m *model) ComputeTypes() []dtype.DType { return []dtype.DType{dtype.BF16, dtype.F32} }

// Weights implements family.Denoiser.
func (m *model) Weights() weights.Source { return m.src }

// Scheme implements family.Bundle.
func (m *model) Scheme() string { return loader }

// TextPrefixes implements family.Bundle.
func (m *model) TextPrefixes() map[string][]string {
	out := map[string][]string{}
	for _, key := range append([]string{lm.KeyQwen3XS}, writers...) {
		out[key] = []string{"text_encoders." + key + ".transformer."}
	}
	return out
}

// LoRAKeys implements family.Adaptable.
func (m *model) LoRAKeys(keys *patch.KeyMap, part string) {
	keys.AddGeneric(part, m.src.Names())
	for _, name := range m.src.Names() {
		rest, ok := strings.CutPrefix(name, "decoder.")
		if layer, isLayer := dit.LayerOf(rest); ok && isLayer {
			keys.AddKey("base_model.model."+layer, part+name)
			keys.AddKey("lycoris_"+strings.ReplaceAll(layer, ".", "_"), part+name)
		}
	}
}

// The names of the network's inputs.
const (
	inputLyrics = "lyric_embed"
	inputVoice  = "refer_audio"
	inputCodes  = "audio_codes"
	inputSource = "is_covers"
	inputNull   = "replace_with_null_embeds"
)

// Inputs implements family.Denoiser.
func (m *model) Inputs(c *sampling.Cond, r sampling.Request) ([]sampling.Input, error) {
	if c.Tokens == nil {
		return nil, dit.ErrNoText
	}
	if len(r.Shape) != 3 {
		return nil, fmt.Errorf("sampling: the latent has shape %v, the model reads audio latents [batch,channels,length]", r.Shape)
	}
	lyrics, err := sampling.Value[*tensor.Tensor](c, keyLyrics)
	if err != nil {
		return nil, err
	}
	if lyrics == nil || len(lyrics.Shape) != 3 || lyrics.Dim(2) != m.text || lyrics.Dim(1) == 0 {
		return nil, errors.New("reading a conditioning entry: it holds no lyrics of ACE-Step 1.5: connect a TextEncodeAceStepAudio1.5 with its text encoders")
	}
	in := []sampling.Input{
		{Name: sampling.InputContext, Value: c.Tokens, Rule: sampling.ByRows}, {Name: inputLyrics, Value: lyrics, Rule: sampling.ByRows},
	}
	if !slices.ContainsFunc(c.Tokens.Data, func(v float32) bool { return v != 0 }) {
		in = append(in, sampling.Input{Name: inputNull, Value: flag(true), Rule: sampling.Shared})
	}
	voice, err := sampling.Tensors(c, keyVoice)
	if err != nil {
		return nil, err
	}
	length := r.Shape[2]
	if len(voice) > 0 {
		last := voice[len(voice)-1]
		if len(last.Shape) != 3 || last.Dim(1) != channels || last.Len() == 0 {
			return nil, fmt.Errorf("reading a conditioning entry: the reference audio has shape %v, wanted a latent [batch,%d,length] of the model's VAE", last.Shape, channels)
		}
		return append(in, sampling.Input{Name: inputVoice, Value: fitted(last, length), Rule: sampling.ByRows}, sampling.Input{Name: inputSource, Value: flag(true), Rule: sampling.Shared}), nil
	}
	in = append(in, sampling.Input{Name: inputVoice, Value: silence(length), Rule: sampling.ByRows})
	codes, err := sampling.Value[*tensor.Tensor](c, keyCodes)
	if err != nil {
		return nil, err
	}
	if codes != nil {
		return append(in, sampling.Input{Name: inputCodes, Value: codes, Rule: sampling.ByRows}), nil
	}
	return append(in, sampling.Input{Name: inputSource, Value: flag(false), Rule: sampling.Shared}), nil
}

// flag is an input that is a truth value.
func flag(on bool) *tensor.Tensor {
	out := tensor.New(1)
	if on {
		out.Data[0] = 1
	}
	return out
}

// fitted is a latent [B,C,l] of a length: cut, or with silence after it.
func fitted(x *tensor.Tensor, length int) *tensor.Tensor {
	out, rest, have := tensor.New(x.Dim(0), x.Dim(1), length), silence(length), x.Dim(2)
	for b := range x.Dim(0) {
		row, from := out.Index(b).Data, x.Index(b).Data
		for c := range x.Dim(1) {
			to := row[c*length : (c+1)*length]
			copy(to, rest.Data[c*length:])
			copy(to, from[c*have:(c+1)*have])
		}
	}
	return out
}

// Predict implements family.Denoiser.
func (m *model) Predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	if err := dit.CheckLatent(c, channels, 3); err != nil {
		return nil, err
	}
	rows, length := c.X.Dim(0), c.X.Dim(2)
	text, lyrics, voice := c.Inputs.Get(sampling.InputContext), c.Inputs.Get(inputLyrics), c.Inputs.Get(inputVoice)
	if err := dit.CheckText(text, rows, m.text); err != nil {
		return nil, err
	}
	if err := dit.CheckText(lyrics, rows, m.text); err != nil {
		return nil, err
	}
	if voice == nil || !slices.Equal(voice.Shape, c.X.Shape) {
		return nil, errors.New("the reference audio has another shape than the latent")
	}
	known, err := dit.Once(c.Inputs, m, func() (known, error) { return m.encode(ctx, run, c.Inputs, length) })
	if err != nil {
		return nil, err
	}
	if err := run.Check("running the model", m.memory(rows, length, known.tokens.Dim(1))); err != nil {
		return nil, err
	}
	return m.denoise(ctx, run, c.X, c.T, known)
}

// Memory implements family.Denoiser.
func (m *model) Memory(shape []int, tokens int) int64 {
	return m.memory(shape[0], shape[len(shape)-1], max(tokens, 1))
}
