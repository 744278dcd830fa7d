// Package qwen35 is the family of Qwen 3.5's language models (0.8B to 27B), three quarters of whose layers are linear attention by the gated delta
// rule. They write prompts and read images.
package qwen35

import (
	"context"
	"fmt"
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/family/decoder"
	"comfygo/engine/family/lm"
	"comfygo/engine/patch"
	"comfygo/engine/tensor"
	"comfygo/engine/textenc"
	"comfygo/engine/tokenizer"
	"comfygo/engine/weights"
)

func init() { family.Register(kind{}) }

// kind registers the family.
type kind struct{}

func (kind) Name() string { return "Qwen 3.5" }

// Rank is below the other language models, which recognise these files only by name.
func (kind) Rank() int { return 191 }

// Config describes a network (upstream: text_encoders/qwen35.py Qwen35Config).
type Config struct {
	// Key names the model by its size: "qwen35_2b".
	Key                       string
	Width, Layers, MLP, Vocab int
	// Heads, KVHeads and HeadDim are those of layers with full attention.
	Heads, KVHeads, HeadDim int
	// KeyHeads and KeyDim are the number of heads of keys in linear layers and their width, ValueHeads and ValueDim those of values.
	KeyHeads, KeyDim, ValueHeads, ValueDim int
	// Sections are the numbers of pairs of a head that turn by time, row and column of an image.
	Sections [3]int
	// Kernel is the number of tokens that the convolution of linear layers reads.
	Kernel int
}

const (
	epsilon  = 1e-6
	theta    = 1e7
	root     = "model.language_model."
	firstKey = root + "layers.0.linear_attn.A_log"
	table    = "model.embed_tokens.weight"
	keyHeads = 16
)

// keys are the keys of the models by their width; others are taken for the 2B model, as upstream does.
var keys = map[int]string{1024: "qwen35_08b", 2048: "qwen35_2b", 2560: "qwen35_4b", 4096: "qwen35_9b", 5120: "qwen35_27b"}

// special are the special tokens: <|endoftext|> pads.
var special = textenc.Empty{Start: tokenizer.None, End: tokenizer.None, Pad: 248044}

// stops are <|endoftext|> and <|im_end|>, tokenImage is <|image_pad|>.
var stops = []int32{248044, 248046}

const tokenImage int32 = 248056

// Full reports that a layer has full attention: every fourth one.
func (c Config) full(layer int) bool { return layer%4 == 3 }

// mixed is the input width of a linear layer's convolution: queries, keys and values.
func (c Config) mixed() int { return 2*c.KeyHeads*c.KeyDim + c.ValueHeads*c.ValueDim }

// kvWidth is the width of the keys, and of the values, of a token in a full layer.
func (c Config) kvWidth() int { return c.KVHeads * c.HeadDim }

// cacheWidths are the widths of keys and of values of each full layer, one after the other.
func (c Config) cacheWidths() []int {
	var out []int
	for i := range c.Layers {
		if c.full(i) {
			out = append(out, c.kvWidth(), c.kvWidth())
		}
	}
	return out
}

// Read implements family.Text.
func (kind) Read(src weights.Source) (family.TextEncoder, error) {
	if _, ok := src.Lookup(firstKey); !ok {
		return nil, nil
	}
	src = inner{src}
	c, err := read(weights.NewScope(src))
	if err != nil {
		return nil, err
	}
	e := New(src, c)
	if e.vision, err = lm.ReadVision(src); err != nil {
		return nil, err
	}
	if e.vision != nil {
		e.vision.CLIP = true
		if e.vision.Width == 768 {
			e.vision.Heads = 12
		}
	}
	return e, nil
}

// inner shows the language model as one that stands alone.
type inner struct{ weights.Source }

// Names implements weights.Source.
func (s inner) Names() []string {
	var out []string
	for _, n := range s.Source.Names() {
		if rest, ok := strings.CutPrefix(n, root); ok {
			n = "model." + rest
		}
		out = append(out, n)
	}
	return out
}

// Lookup implements weights.Source.
func (s inner) Lookup(name string) (weights.Entry, bool) {
	if rest, ok := strings.CutPrefix(name, "model."); ok {
		if e, ok := s.Source.Lookup(root + rest); ok {
			return e, true
		}
	}
	return s.Source.Lookup(name)
}

// read takes the sizes from the shapes.
func read(s *weights.Scope) (Config, error) {
	layers := s.At("model", "layers")
	linear, full := layers.Index(0).At("linear_attn"), layers.Index(3).At("self_attn")
	words, gate := s.Shape(table), layers.Index(0).Shape("mlp.gate_proj.weight")
	a, norm, mixed, conv := linear.Shape("A_log"), linear.Shape("norm.weight"), linear.Shape("in_proj_qkv.weight"), linear.Shape("conv1d.weight")
	q, k, headNorm := full.Shape("q_proj.weight"), full.Shape("k_proj.weight"), full.Shape("q_norm.weight")
	if len(words) != 2 || len(gate) != 2 || len(a) != 1 || len(norm) != 1 || len(mixed) != 2 || len(conv) != 3 || len(q) != 2 || len(k) != 2 || len(headNorm) != 1 || headNorm[0] < 8 {
		return Config{}, fmt.Errorf("reading the text encoder's shape: embed_tokens %v, gate_proj %v, A_log %v, norm %v, in_proj_qkv %v, conv1d %v, q_proj %v, k_proj %v, q_norm %v", words, gate, a, norm, mixed, conv, q, k, headNorm)
	}
	c := Config{
		Width: words[1], Vocab: words[0], MLP: gate[0], Layers: s.Count("model.layers"), HeadDim: headNorm[0], KVHeads: k[0] / headNorm[0], Heads: q[0] / headNorm[0] / 2,
		ValueHeads: a[0], ValueDim: norm[0], KeyHeads: keyHeads, Kernel: conv[2],
	}
	c.KeyDim = (mixed[0] - c.ValueHeads*c.ValueDim) / 2 / c.KeyHeads
	c.Sections = [3]int{c.turned() * 11 / 32, c.turned() * 11 / 32, c.turned() - 2*(c.turned()*11/32)}
	if c.Key = keys[c.Width]; c.Key == "" {
		c.Key = keys[2048]
	}
	if c.KVHeads < 1 || c.Heads%c.KVHeads != 0 || 2*c.Heads*c.HeadDim != q[0] || c.KeyDim < 1 || c.mixed() != mixed[0] || c.ValueHeads%c.KeyHeads != 0 || c.Kernel < 2 || conv[0] != mixed[0] || c.HeadDim%8 != 0 {
		return c, fmt.Errorf("reading the text encoder's shape: %d heads of %d share %d of keys; %d values of linear layers make no %d heads of keys beside %d of %d values", c.Heads, c.HeadDim, c.KVHeads, mixed[0], c.KeyHeads, c.ValueHeads, c.ValueDim)
	}
	return c, nil
}

// Encoder is a network that was read from a file.
type Encoder struct {
	Config
	src    weights.Source
	words  func() (tokenizer.Model, error)
	vision *lm.ImageReader
}

var (
	_ family.TextEncoder   = (*Encoder)(nil)
	_ family.Generator     = (*Encoder)(nil)
	_ family.AdaptableText = (*Encoder)(nil)
)

// New returns the network of the given config with the tensors of src, without a vision tower.
func New(src weights.Source, c Config) *Encoder {
	return &Encoder{Config: c, src: src, words: textenc.Once(func() (tokenizer.Model, error) { return words(src) })}
}

// Key implements family.TextEncoder.
func (e *Encoder) Key() string { return e.Config.Key }

// Width implements family.TextEncoder.
func (e *Encoder) Width() int { return e.Config.Width }

// Weights implements family.TextEncoder.
func (e *Encoder) Weights() weights.Source { return e.src }

// Tokenize implements family.TextEncoder.
func (e *Encoder) Tokenize(prompt string, o family.TokenizeOptions) (tokenizer.Tokens, error) {
	return o.Lay(e.words, tokenizer.Options{Start: special.Start, End: special.End, Pad: special.Pad, MinLength: 1, Unweighted: true}, prompt)
}

// Encode implements family.TextEncoder: the states after a layer, the last but one unless o names another, without the last norm unless o asks for
// it. There is no pooled output.
func (e *Encoder) Encode(ctx context.Context, run family.Runner, tokens tokenizer.Tokens, o family.EncodeOptions) (family.Encoding, error) {
	c := &call{Encoder: e, run: run, layer: -1, norm: !o.RawHidden, masked: o.Masked}
	for _, layer := range []int{o.Layer, o.Chosen} {
		if layer < 0 && -layer <= e.Layers {
			c.layer = e.Layers + layer
		}
	}
	tokens, err := e.splice(ctx, run, tokens, &c.images)
	if err != nil {
		return family.Encoding{}, err
	}
	return o.Encode(ctx, c, tokens, special, e.Config.Width)
}

// splice puts the vectors of images in place of their tokens, and appends where they are to spans.
func (e *Encoder) splice(ctx context.Context, run family.Runner, tokens tokenizer.Tokens, spans *[]lm.Span) (tokenizer.Tokens, error) {
	return decoder.Splice(tokens, func(t tokenizer.Token, at int) (*tensor.Tensor, error) {
		if e.vision == nil || t.Image == nil {
			return nil, fmt.Errorf("encoding a prompt with an image: %s has no vision tower; use a file of the text encoder that carries one, or leave the image out", e.src.Path())
		}
		v, rows, cols, err := e.vision.Resized(ctx, run, t.Image)
		if err == nil && spans != nil {
			*spans = append(*spans, lm.Span{Start: at, Size: v.Dim(0), Rows: rows, Cols: cols})
		}
		return v, err
	})
}

// LoRAKeys implements family.AdaptableText (upstream: lora.py model_lora_keys_clip).
func (e *Encoder) LoRAKeys(m *patch.KeyMap, part string, keys []string) {
	n := patch.TextNames{Part: part, Names: e.src.Names()}
	m.AddTextGeneric(n)
	m.AddTextInner(n)
	if len(keys) == 1 {
		m.AddKohya("lora_te_", "model.", n)
	}
	m.Bake(func(key string) bool { return key == part+table })
}
