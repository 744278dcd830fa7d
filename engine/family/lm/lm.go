// Package lm is the family of decoder language models that serve as text encoders: Llama 3, Mistral Small, Qwen 2.5 and 3,
// Gemma 2 and 3.
package lm

import (
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/textenc"
	"comfygo/engine/tokenizer"
	"comfygo/engine/weights"
)

func init() { family.Register(kind{}) }

// kind registers the family.
type kind struct{}

func (kind) Name() string { return "language model" }
func (kind) Rank() int    { return 200 }

// The keys of the encoders.
const (
	KeyLlama3    = "llama"
	KeyMistral   = "mistral3_24b"
	KeyMinistral = "ministral3_3b"
	KeyQwen25S   = "qwen25_3b"
	KeyQwen25M   = "qwen25_7b"
	KeyQwen3XS   = "qwen3_06b"
	KeyQwen3S    = "qwen3_2b"
	KeyQwen3M    = "qwen3_4b"
	KeyQwen3L    = "qwen3_8b"
	KeyQwen3VLM  = "qwen3vl_4b"
	KeyQwen3VLL  = "qwen3vl_8b"
	KeyQwen3VLXL = "qwen3vl_32b"
	KeyGemma2    = "gemma2_2b"
	KeyGemma3S   = "gemma3_4b"
	KeyGemma3M   = "gemma3_12b"
)

// Config describes a network (upstream: text_encoders/llama.py and its config classes).
type Config struct {
	// Key is one of the keys above.
	Key                                         string
	Width, Layers, Heads, KVHeads, HeadDim, MLP int
	// Vocab is the number of rows of the token table.
	Vocab int
	traits
}

// traits are what sizes do not tell.
type traits struct {
	// epsilon is the epsilon of the norms.
	epsilon float32
	// theta are the bases of rotary positions, scale what their frequencies are divided by: of all layers, or of global
	// and of sliding ones.
	theta, scale []float64
	// gemma has norms around each part of a block whose weights are stored less one, scaled token embeddings and GELU.
	gemma bool
	// window is the number of tokens that sliding layers attend to; every globalEvery-th layer attends to all; 0 means no such
	// layers.
	window int
	// headNorm normalises each head of queries and keys.
	headNorm bool
	// sections are the numbers of frequencies that turn by time, row and column of an image; nil for models without images.
	// alternating mixes the three from frequency to frequency.
	sections    []int
	alternating bool
}

// globalEvery is the distance of global layers among sliding ones.
const globalEvery = 6

// Read implements family.Text.
func (kind) Read(src weights.Source) (family.TextEncoder, error) {
	src = unwrap(src)
	if _, ok := src.Lookup(firstNorm); !ok {
		return nil, nil
	}
	s := weights.NewScope(src)
	key, err := detect(s)
	if err != nil || key == "" {
		return nil, err
	}
	c, err := read(s, key)
	if err != nil {
		return nil, err
	}
	e := New(src, c)
	e.vision, err = readTower(s, src, c)
	return e, err
}

// read takes the sizes from the shapes.
func read(s *weights.Scope, key string) (Config, error) {
	c := Config{Key: key, traits: traitsOf[key]}
	layer := s.At("model", "layers").Index(0)
	table, q, k, gate := s.Shape(table), layer.Shape("self_attn.q_proj.weight"), layer.Shape("self_attn.k_proj.weight"), layer.Shape("mlp.gate_proj.weight")
	if len(table) != 2 || len(q) != 2 || len(k) != 2 || len(gate) != 2 {
		return c, fmt.Errorf("reading the text encoder's shape: embed_tokens %v, q_proj %v, k_proj %v, gate_proj %v, wanted two dimensions each", table, q, k, gate)
	}
	c.HeadDim = 128
	if c.gemma {
		c.HeadDim = 256
	}
	c.Width, c.Vocab, c.MLP, c.Layers = table[1], table[0], gate[0], s.Count("model.layers")
	c.Heads, c.KVHeads = q[0]/c.HeadDim, k[0]/c.HeadDim
	if c.Heads < 1 || c.KVHeads < 1 || c.Heads%c.KVHeads != 0 || q[0] != c.Heads*c.HeadDim || k[0] != c.KVHeads*c.HeadDim {
		return c, fmt.Errorf("reading the text encoder's shape: q_proj %v and k_proj %v do not divide into heads of %d", q, k, c.HeadDim)
	}
	return c, nil
}

// Encoder is a network that was read from a file.
type Encoder struct {
	Config
	src   weights.Source
	words func() (tokenizer.Model, error)
	// vision is the tower that reads images, or nil.
	vision tower
}

var _ family.TextEncoder = (*Encoder)(nil)

// New returns the network of the given config with the tensors of src.
func New(src weights.Source, c Config) *Encoder {
	return &Encoder{Config: c, src: src, words: textenc.Once(func() (tokenizer.Model, error) { return wordsIn(c.Key, src) })}
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

// Qwen3 describes a network of the kind of Qwen 3 with heads of 128 values.
func Qwen3(width, layers, heads, kvHeads, mlp int) Config {
	const head = 128
	return Config{Key: KeyQwen3L, Width: width, Layers: layers, Heads: heads, KVHeads: kvHeads, HeadDim: head, MLP: mlp, traits: traitsOf[KeyQwen3L]}
}
