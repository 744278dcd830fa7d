// Package t5 is the family of T5's encoders: T5 v1.1 and its predecessor, UMT5, mT5, Pile-T5 and ByT5.
package t5

import (
	"fmt"
	"slices"

	"comfygo/engine/family"
	"comfygo/engine/tokenizer"
	"comfygo/engine/weights"
)

func init() { family.Register(kind{}) }

// kind registers the family.
type kind struct{}

func (kind) Name() string { return "T5" }
func (kind) Rank() int    { return 100 }

// The keys of the encoders.
const (
	KeyXXL      = "t5xxl"     // T5 v1.1 XXL
	KeyOld      = "t5xxl_old" // T5 11B, whose layers are not gated
	KeyBase     = "t5base"
	KeyUMT5     = "umt5xxl"
	KeyUMT5Base = "umt5base"
	KeyMT5      = "mt5xl"
	KeyPile     = "pile_t5xl"
	KeyByT5     = "byt5_small"
)

// Config describes an encoder (upstream: text_encoders/t5.py T5 and its config files).
type Config struct {
	// Key is one of the keys above.
	Key                              string
	Width, Inner, Layers, Heads, MLP int
	// Vocab is the number of rows of the token table.
	Vocab int
	// Gated makes the MLP multiply tanh-approximated GELU by a second projection; otherwise it is a ReLU.
	Gated bool
	// EachLayer has every layer use its own table of position biases (UMT5); otherwise the first layer's is used by all.
	EachLayer bool
}

const (
	firstKey = "encoder.block.0.layer.0.SelfAttention.k.weight"
	biasKey  = "layer.0.SelfAttention.relative_attention_bias.weight"
	table    = "shared.weight"
	// otherTable is the token table in files that hold the encoder alone.
	otherTable = "encoder.embed_tokens.weight"
)

// The figures by which the encoders are distinguished (upstream: sd.py detect_te_model).
const (
	largeLayers = 24
	widthXL     = 5120 // of the MLP
	innerByT5   = 384
	manyWords   = 200_000 // of multilingual vocabularies
)

// Read implements family.Text.
func (kind) Read(src weights.Source) (family.TextEncoder, error) {
	if _, ok := src.Lookup(firstKey); !ok {
		return nil, nil
	}
	c, err := read(weights.NewScope(src))
	if err != nil {
		return nil, err
	}
	return New(src, c), nil
}

func read(s *weights.Scope) (Config, error) {
	words := s.Shape(table)
	if words == nil {
		words = s.Shape(otherTable)
	}
	block := s.At("encoder", "block").Index(0)
	k, bias := s.Shape(firstKey), block.Shape(biasKey)
	mlp := block.Shape("layer.1.DenseReluDense.wo.weight")
	if len(words) != 2 || len(k) != 2 || len(bias) != 2 || len(mlp) != 2 {
		return Config{}, fmt.Errorf("reading the text encoder's shape: %s %v, %s %v, %s %v, wo %v, wanted two dimensions each", table, words, firstKey, k, biasKey, bias, mlp)
	}
	c := Config{
		Width: words[1], Vocab: words[0], Inner: k[0], Heads: bias[1], MLP: mlp[1],
		Layers: s.Count("encoder.block"), Gated: block.Has("layer.1.DenseReluDense.wi_1.weight"),
		EachLayer: s.At("encoder", "block").Index(1).Has(biasKey),
	}
	if c.Heads < 1 || c.Inner%c.Heads != 0 {
		return Config{}, fmt.Errorf("reading the text encoder's shape: %d heads do not divide a width of %d", c.Heads, c.Inner)
	}
	c.Key = c.key(s.Has(spiece))
	return c, nil
}

func (c Config) key(carriesWords bool) string {
	switch {
	case c.Layers >= largeLayers && !c.Gated:
		return KeyOld
	case c.Layers >= largeLayers && c.MLP == widthXL && c.EachLayer:
		return KeyPile
	case c.Layers >= largeLayers && c.MLP == widthXL:
		return KeyMT5
	case c.Layers >= largeLayers && (c.EachLayer || c.Vocab > manyWords):
		return KeyUMT5
	case c.Layers >= largeLayers:
		return KeyXXL
	case c.Inner == innerByT5:
		return KeyByT5
	case carriesWords || c.Vocab > manyWords:
		return KeyUMT5Base
	}
	return KeyBase
}

// Encoder is an encoder that was read from a file.
type Encoder struct {
	Config
	src   weights.Source
	words func() (tokenizer.Model, error)
}

var _ family.TextEncoder = (*Encoder)(nil)

// New returns the encoder of the given config with the tensors of src.
func New(src weights.Source, c Config) *Encoder {
	return &Encoder{Config: c, src: src, words: onceWords(c.Key, src)}
}

// Key implements family.TextEncoder.
func (e *Encoder) Key() string { return e.Config.Key }

// Width implements family.TextEncoder.
func (e *Encoder) Width() int { return e.Config.Width }

// Weights implements family.TextEncoder.
func (e *Encoder) Weights() weights.Source { return e.src }

// Tokenize implements family.TextEncoder.
func (e *Encoder) Tokenize(prompt string, o family.TokenizeOptions) (tokenizer.Tokens, error) {
	m, err := e.words()
	if err != nil {
		return nil, err
	}
	return tokenize(m, e.Config.Key, prompt, o)
}

// tableKey is the name of the token table in the file.
func (e *Encoder) tableKey() string {
	if _, ok := e.src.Lookup(table); !ok && slices.Contains(e.src.Names(), otherTable) {
		return otherTable
	}
	return table
}
