// Package acestep is the family of ACE-Step 1: music from tags and lyrics, and its VAE with a vocoder.
package acestep

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/t5"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(kind{}) }

// kind registers the family.
type kind struct{}

// Name implements family.Family.
func (kind) Name() string { return "ACE-Step" }

// Rank implements family.Family.
func (kind) Rank() int { return 770 }

// latentFormat is the format of the VAE. Upstream: latent_formats.ACEAudio.
var latentFormat = sampling.LatentFormat{Channels: channels, Scale: 1, Downscale: 8}

const (
	// channels and height are those of latents, whose last axis is time.
	channels, height = 8, 16
	// headWidth and lyricHeads are those of published models.
	headWidth, lyricHeads = 128, 16
	keyGenre              = "genre_embedder.weight"
)

// config describes a network: the transformer, the encoder of lyrics, and the widths of their inputs.
type config struct {
	width, heads, inner, layers       int
	lyrics, lyricInner, lyricLayers   int
	vocabulary, embedded, text, voice int
}

func dim(s *weights.Scope, name string, axis int) int {
	if sh := s.Shape(name); axis < len(sh) {
		return sh[axis]
	}
	return 0
}

// Read implements family.Diffusion.
func (kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	s := weights.NewScope(src)
	if !s.Has(keyGenre) {
		return nil, nil
	}
	c, err := readConfig(s, dim(s, keyGenre, 0)/headWidth)
	if err != nil {
		return nil, err
	}
	return &model{config: c, src: src}, nil
}

func readConfig(s *weights.Scope, heads int) (config, error) {
	c := config{
		width: dim(s, keyGenre, 0), heads: heads, inner: dim(s, "transformer_blocks.0.ff.point_conv.conv.weight", 1), layers: s.Count("transformer_blocks"),
		lyrics: dim(s, "lyric_encoder.embed.out.0.weight", 0), lyricInner: dim(s, "lyric_encoder.encoders.0.feed_forward.w_1.weight", 0), lyricLayers: s.Count("lyric_encoder.encoders"),
		vocabulary: dim(s, keyWords, 0), embedded: dim(s, keyWords, 1), text: dim(s, keyGenre, 1), voice: dim(s, "speaker_embedder.weight", 1),
	}
	if heads == 0 || c.width%(2*heads) != 0 || c.inner == 0 || c.layers == 0 || c.lyrics == 0 || c.lyrics%lyricHeads != 0 || c.lyricInner == 0 || c.lyricLayers == 0 || c.vocabulary == 0 || c.voice == 0 {
		return c, fmt.Errorf("reading the shape of the network: %s is %v, %s %v, %d layers, %d layers of the encoder of lyrics", keyGenre, s.Shape(keyGenre), keyWords, s.Shape(keyWords), c.layers, c.lyricLayers)
	}
	return c, nil
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
	return sampling.Flow, sampling.Settings{Shift: 3}
}

// ComputeTypes implements family.Typed.
func (m *model) ComputeTypes() []dtype.DType { return []dtype.DType{dtype.BF16, dtype.F32} }

// Weights implements family.Denoiser.
func (m *model) Weights() weights.Source { return m.src }

// Scheme implements family.Bundle.
func (m *model) Scheme() string { return loader }

// TextPrefixes implements family.Bundle.
func (m *model) TextPrefixes() map[string][]string {
	return map[string][]string{t5.KeyUMT5Base: {"text_encoders.umt5base.transformer.", "text_encoders.umt5base."}}
}

// LoRAKeys implements family.Adaptable: adapters of ACE-Step name the layers as the model does.
func (m *model) LoRAKeys(keys *patch.KeyMap, part string) {
	keys.AddGeneric(part, m.src.Names())
	for _, name := range m.src.Names() {
		if layer, ok := dit.LayerOf(name); ok {
			keys.AddKey(layer, part+name)
		}
	}
	keys.Bake(func(key string) bool { return key == part+keyWords })
}

// The names of the network's inputs.
const (
	inputLyrics   = "lyric_token_idx"
	inputVoice    = "speaker_embeds"
	inputStrength = "lyrics_strength"
)

// Inputs implements family.Denoiser.
func (m *model) Inputs(c *sampling.Cond, r sampling.Request) ([]sampling.Input, error) {
	if c.Tokens == nil {
		return nil, dit.ErrNoText
	}
	if err := m.checkShape(r.Shape); err != nil {
		return nil, fmt.Errorf("sampling: %w", err)
	}
	lyrics, err := sampling.Value[*tensor.Tensor](c, keyLyrics)
	if err != nil {
		return nil, err
	}
	if lyrics == nil || len(lyrics.Shape) != 2 || lyrics.Len() == 0 {
		return nil, errors.New("reading a conditioning entry: it holds no lyrics of ACE-Step: connect a TextEncodeAceStepAudio with its text encoder")
	}
	strength := tensor.New(1)
	strength.Data[0] = 1
	if _, ok := c.Values[sampling.KeyLyricsStrength]; ok {
		v, err := sampling.Number(c, sampling.KeyLyricsStrength)
		if err != nil {
			return nil, err
		}
		strength.Data[0] = float32(v)
	}
	return []sampling.Input{
		{Name: sampling.InputContext, Value: c.Tokens, Rule: sampling.ByRows},
		{Name: inputLyrics, Value: lyrics, Rule: sampling.ByRows},
		{Name: inputVoice, Value: tensor.New(1, m.voice), Rule: sampling.ByRows},
		{Name: inputStrength, Value: strength, Rule: sampling.Shared},
	}, nil
}

func (m *model) checkShape(shape []int) error {
	if len(shape) != 4 || shape[1] != channels || shape[2] != height || shape[3] < 1 {
		return fmt.Errorf("the latent has shape %v, the model reads audio latents [batch,%d,%d,length]: use EmptyAceStepLatentAudio or VAEEncodeAudio", shape, channels, height)
	}
	return nil
}

// Predict implements family.Denoiser.
func (m *model) Predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	if err := dit.CheckLatent(c, channels, 4); err != nil {
		return nil, err
	}
	if err := m.checkShape(c.X.Shape); err != nil {
		return nil, err
	}
	rows := c.X.Dim(0)
	text, lyrics, voice, strength := c.Inputs.Get(sampling.InputContext), c.Inputs.Get(inputLyrics), c.Inputs.Get(inputVoice), c.Inputs.Get(inputStrength)
	if err := dit.CheckText(text, rows, m.text); err != nil {
		return nil, err
	}
	if lyrics == nil || len(lyrics.Shape) != 2 || lyrics.Dim(0) != rows || voice == nil || !slices.Equal(voice.Shape, []int{rows, m.voice}) || strength == nil {
		return nil, errors.New("it needs lyrics, a voice and the strength of lyrics for each row")
	}
	tokens, err := dit.Once(c.Inputs, m, func() (*tensor.Tensor, error) { return m.encode(ctx, run, text, lyrics, voice, strength.Data[0]) })
	if err != nil {
		return nil, err
	}
	if err := run.Check("running the model", m.memory(rows, c.X.Dim(3), tokens.Dim(1))); err != nil {
		return nil, err
	}
	return m.denoise(ctx, run, c.X, c.T, tokens)
}

// encode runs the encoders of conditions: a voice, text and lyrics one after the other, [B,1+T+Y,C]. Upstream:
// ACEStepTransformer2DModel.encode.
func (m *model) encode(ctx context.Context, run family.Runner, text, lyrics, voice *tensor.Tensor, strength float32) (*tensor.Tensor, error) {
	words, err := m.words(run, lyrics)
	if err != nil {
		return nil, err
	}
	n := lyrics.Dim(1)
	if err := run.Check("encoding the lyrics", m.activations.Of(m.conditionGraph(), map[string]int{"B": text.Dim(0), "T": text.Dim(1), "Y": n, "P": 2*n - 1, "U": n - 1})); err != nil {
		return nil, err
	}
	out, err := run.Run(ctx, m.conditionGraph(), []family.Value{
		family.Floats("context", text), family.Floats("words", words), family.Floats("voice", voice), family.Floats("places", m.places(n)),
		family.Vector("strength", []float32{strength}),
	}, "out")
	return out["out"], err
}

// words looks the tokens of lyrics [B,Y] up, with the adapters of the table.
func (m *model) words(run family.Runner, lyrics *tensor.Tensor) (*tensor.Tensor, error) {
	src, err := run.Patched(m.src)
	if err != nil {
		return nil, err
	}
	s := weights.NewScope(src)
	table := s.Weight(keyWords, m.vocabulary, m.embedded)
	if err := s.Err(); err != nil {
		return nil, err
	}
	out := tensor.New(lyrics.Dim(0), lyrics.Dim(1), m.embedded)
	for i, v := range lyrics.Data {
		id := int(v)
		if id < 0 || id >= m.vocabulary {
			return nil, fmt.Errorf("token %d of the lyrics is out of range: the vocabulary has %d", id, m.vocabulary)
		}
		row := out.Data[i*m.embedded : (i+1)*m.embedded]
		if table.Entry.Described() {
			continue // a list of names and shapes
		}
		if err := weights.Range(row, table.Entry, id*m.embedded); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// places are the encodings of the distances n-1 … 1-n between tokens, [1,2n-1,C]. Upstream: EspnetRelPositionalEncoding.
func (m *model) places(n int) *tensor.Tensor {
	out := tensor.New(1, 2*n-1, m.lyrics)
	for r := range 2*n - 1 {
		row := out.Data[r*m.lyrics : (r+1)*m.lyrics]
		for i := range m.lyrics / 2 {
			frequency := float32(math.Exp(float64(float32(2*i) * float32(-math.Log(10000)/float64(m.lyrics)))))
			angle := float64(float32(n-1-r) * frequency)
			row[2*i], row[2*i+1] = float32(math.Sin(angle)), float32(math.Cos(angle))
		}
	}
	return out
}

// Memory implements family.Denoiser.
func (m *model) Memory(shape []int, tokens int) int64 {
	return m.memory(shape[0], shape[len(shape)-1], max(tokens, 1))
}
