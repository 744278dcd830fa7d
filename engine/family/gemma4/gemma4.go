// Package gemma4 is the family of Gemma 4's language models (E2B, E4B, 12B, 31B), which write prompts and read images and sounds.
package gemma4

import (
	"context"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/family/decoder"
	"comfygo/engine/patch"
	"comfygo/engine/tensor"
	"comfygo/engine/textenc"
	"comfygo/engine/tokenizer"
	"comfygo/engine/tokenizer/hf"
	"comfygo/engine/weights"
)

func init() { family.Register(kind{}) }

// kind registers the family.
type kind struct{}

func (kind) Name() string { return "Gemma 4" }

// Rank is below the other language models, because files of Gemma 4 have their keys, too.
func (kind) Rank() int { return 190 }

// Key is the key of the encoder, whatever its size.
const Key = "gemma4"

// The kinds of layers: global layers attend to all tokens, sliding layers to a window.
const (
	global = iota
	sliding
	kinds
)

// Config describes a network (upstream: text_encoders/gemma4.py Gemma4Config and its variants).
type Config struct {
	Width, Layers, Heads, MLP, Vocab int
	// HeadDim and KVHeads are the width of a head and the number of heads of keys of global and of sliding layers.
	HeadDim, KVHeads [kinds]int
	// SameValues reports that global layers take their values from the projection of keys.
	SameValues bool
	// Window is the number of tokens that sliding layers attend to; every Period-th layer is global.
	Window, Period int
	// Shared is the number of last layers that attend to the keys and values of the last layer of their kind before them; with Wide
	// their MLPs have double width.
	Shared int
	Wide   bool
	// PerLayer is the width of a token's input to each layer, 0 for none.
	PerLayer int
	// Blocks lets the tokens of an image attend to each other.
	Blocks bool
	// Primed has answers without thinking begin with an empty thought.
	Primed bool
	// Suppressed are tokens that are never generated.
	Suppressed []int32
}

const (
	epsilon  = 1e-6
	softcap  = 30
	firstKey = "model.layers.0.layer_scalar"
	table    = "model.embed_tokens.weight"
	perLayer = "model.embed_tokens_per_layer.weight"
)

// theta are the bases of rotary positions by kind of layer. Global layers turn a quarter of a head.
var theta = [kinds]float64{1e6, 1e4}

// special are the tokens <bos> and <pad>.
var special = textenc.Empty{Start: 2, End: tokenizer.None, Pad: 0}

// stops are <eos>, <|tool_response> and <turn|>.
var stops = []int32{1, 50, 106}

// kindOf is the kind of a layer.
func (c Config) kindOf(layer int) int {
	if layer%c.Period == c.Period-1 {
		return global
	}
	return sliding
}

// own is the number of layers that have keys and values of their own.
func (c Config) own() int { return c.Layers - c.Shared }

// mlp is the width within the MLP of a layer.
func (c Config) mlp(layer int) int {
	if c.Wide && layer >= c.own() {
		return 2 * c.MLP
	}
	return c.MLP
}

// kvWidth is the width of the keys, and of the values, of a token in a layer.
func (c Config) kvWidth(layer int) int {
	k := c.kindOf(layer)
	return c.KVHeads[k] * c.HeadDim[k]
}

// cacheWidths are the widths of the keys of each layer of its own ones, and of its values after them all.
func (c Config) cacheWidths() []int {
	n := c.own()
	out := make([]int, 2*n)
	for i := range n {
		out[i], out[n+i] = c.kvWidth(i), c.kvWidth(i)
	}
	return out
}

// variants are the models by their number of layers.
var variants = map[int]Config{
	35: {Period: 5, Window: 512, Shared: 20, Wide: true},
	42: {Period: 6, Window: 512, Shared: 18},
	48: {Period: 6, Window: 1024, SameValues: true, Blocks: true, Primed: true, Suppressed: []int32{258883, 258882}},
	60: {Period: 6, Window: 1024, Blocks: true, Primed: true},
}

// Read implements family.Text.
func (kind) Read(src weights.Source) (family.TextEncoder, error) {
	e, err := Read(src)
	if e == nil {
		return nil, err
	}
	return e, err
}

// Read returns the model in a file, nil for a file of another kind.
func Read(src weights.Source) (*Encoder, error) {
	if _, ok := src.Lookup(firstKey); !ok {
		return nil, nil
	}
	s := weights.NewScope(src)
	layers := s.Count("model.layers")
	c, ok := variants[layers]
	if !ok {
		return nil, fmt.Errorf("a model of Gemma 4 with %d layers; those of 35 (E2B), 42 (E4B), 48 (12B) and 60 (31B) can be run", layers)
	}
	c.Layers = layers
	if c.SameValues = c.SameValues && !s.Has("model.layers.5.self_attn.v_proj.weight"); layers == 48 && !c.SameValues {
		return nil, fmt.Errorf("a model of Gemma 4 with 48 layers has no values of its own in global layers; this one does")
	}
	if err := c.read(s); err != nil {
		return nil, err
	}
	e := New(src, c)
	var err error
	if e.vision, err = readVision(s, src, c); err != nil {
		return nil, err
	}
	e.audio, err = readAudio(s, src, c)
	return e, err
}

// read takes the sizes from the shapes.
func (c *Config) read(s *weights.Scope) error {
	layers := s.At("model", "layers")
	words, gate := s.Shape(table), layers.Index(0).Shape("mlp.gate_proj.weight")
	var norms, keys, queries [kinds][]int
	for k, at := range [kinds]int{c.Period - 1, 0} {
		a := layers.Index(at).At("self_attn")
		norms[k], keys[k], queries[k] = a.Shape("q_norm.weight"), a.Shape("k_proj.weight"), a.Shape("q_proj.weight")
		if len(norms[k]) != 1 || len(keys[k]) != 2 || len(queries[k]) != 2 || norms[k][0] < 4 || keys[k][0]%norms[k][0] != 0 || queries[k][0]%norms[k][0] != 0 {
			return fmt.Errorf("reading the text encoder's shape: layer %d has q_norm %v, k_proj %v, q_proj %v", at, norms[k], keys[k], queries[k])
		}
		c.HeadDim[k], c.KVHeads[k] = norms[k][0], keys[k][0]/norms[k][0]
	}
	if len(words) != 2 || len(gate) != 2 {
		return fmt.Errorf("reading the text encoder's shape: embed_tokens %v, gate_proj %v, wanted two dimensions each", words, gate)
	}
	c.Vocab, c.Width, c.MLP, c.Heads = words[0], words[1], gate[0], queries[0][0]/c.HeadDim[0]
	if p := layers.Index(0).Shape("per_layer_input_gate.weight"); len(p) == 2 {
		c.PerLayer = p[0]
	}
	for k := range kinds {
		if c.KVHeads[k] < 1 || c.Heads < 1 || c.Heads%c.KVHeads[k] != 0 || queries[k][0] != c.Heads*c.HeadDim[k] {
			return fmt.Errorf("reading the text encoder's shape: %d heads of %d do not share %d heads of keys", c.Heads, c.HeadDim[k], c.KVHeads[k])
		}
	}
	return nil
}

// Encoder is a network that was read from a file.
type Encoder struct {
	Config
	src    weights.Source
	words  func() (*hf.Pipeline, error)
	vision vision
	audio  listener
}

var (
	_ family.TextEncoder   = (*Encoder)(nil)
	_ family.Generator     = (*Encoder)(nil)
	_ family.AdaptableText = (*Encoder)(nil)
)

// New returns the network of the given config with the tensors of src, without vision and audio.
func New(src weights.Source, c Config) *Encoder {
	words := textenc.Once(func() (tokenizer.Model, error) {
		data, err := textenc.Embedded(src, "tokenizer_json", "the tokenizer")
		if err != nil {
			return nil, err
		}
		p, err := hf.Parse(data)
		if err != nil {
			return nil, fmt.Errorf("reading the tokenizer of %s: %w", src.Path(), err)
		}
		return p, nil
	})
	return &Encoder{Config: c, src: src, words: func() (*hf.Pipeline, error) {
		m, err := words()
		if err != nil {
			return nil, err
		}
		return m.(*hf.Pipeline), nil
	}}
}

// Key implements family.TextEncoder.
func (*Encoder) Key() string { return Key }

// Width implements family.TextEncoder.
func (e *Encoder) Width() int { return e.Config.Width }

// Weights implements family.TextEncoder.
func (e *Encoder) Weights() weights.Source { return e.src }

// Tokenize implements family.TextEncoder.
func (e *Encoder) Tokenize(prompt string, o family.TokenizeOptions) (tokenizer.Tokens, error) {
	words := func() (tokenizer.Model, error) { return e.words() }
	return o.Lay(words, tokenizer.Options{Start: special.Start, End: special.End, Pad: special.Pad, MinLength: 1, PadLeft: true, Unweighted: true}, prompt)
}

// Encode implements family.TextEncoder: the inputs of all layers and the output, or those named by o. There is no pooled output.
func (e *Encoder) Encode(ctx context.Context, run family.Runner, tokens tokenizer.Tokens, o family.EncodeOptions) (family.Encoding, error) {
	tokens, images, err := e.splice(ctx, run, tokens)
	if err != nil {
		return family.Encoding{}, err
	}
	layers := o.Layers
	if o.AllLayers || layers == nil {
		layers = nil
		for i := range e.Layers + 1 {
			layers = append(layers, i)
		}
	}
	c := &call{Encoder: e, run: run, images: images, layers: layers, masked: o.Masked}
	return o.Encode(ctx, c, tokens, special, e.Config.Width)
}

// span is the place of an image among the tokens of a row.
type span struct{ start, size int }

// splice puts the vectors of images and sounds in place of their tokens, and returns where images are.
func (e *Encoder) splice(ctx context.Context, run family.Runner, tokens tokenizer.Tokens) (tokenizer.Tokens, []span, error) {
	var images []span
	out, err := decoder.Splice(tokens, func(t tokenizer.Token, at int) (*tensor.Tensor, error) {
		if t.Audio != nil {
			if e.audio == nil {
				return nil, fmt.Errorf("encoding a prompt with sound: %s has no audio tower; use a file of the text encoder that carries one, or leave the sound out", e.src.Path())
			}
			return e.audio.listen(ctx, run, t.Audio)
		}
		if e.vision == nil {
			return nil, fmt.Errorf("encoding a prompt with an image: %s has no vision tower; use a file of the text encoder that carries one, or leave the image out", e.src.Path())
		}
		v, err := e.vision.look(ctx, run, t.Image)
		if err == nil {
			images = append(images, span{at, v.Dim(0)})
		}
		return v, err
	})
	return out, images, err
}

// LoRAKeys implements family.AdaptableText (upstream: lora.py model_lora_keys_clip).
func (e *Encoder) LoRAKeys(m *patch.KeyMap, part string, keys []string) {
	n := patch.TextNames{Part: part, Names: e.src.Names()}
	m.AddTextGeneric(n)
	m.AddTextInner(n)
	if len(keys) == 1 {
		m.AddKohya("lora_te_", "model.", n)
	}
	m.Bake(func(key string) bool { return key == part+table || key == part+perLayer })
}
