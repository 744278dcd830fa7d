// Package gptoss is the family of GPT-OSS 20B as a text encoder: layers whose feed-forward part is a mixture of experts, and attention
// with a learned sink for each head.
package gptoss

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
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

func (kind) Name() string { return "GPT-OSS" }

func (kind) Rank() int { return 188 }

// Key names the encoder.
const Key = "gpt_oss"

// Config describes a network. Upstream: text_encoders/gpt_oss.py GptOss20BConfig.
type Config struct {
	Width, Layers, Vocab int
	// Heads and KVHeads count the heads of queries and of keys, each HeadDim wide.
	Heads, KVHeads, HeadDim int
	// Experts is the number of experts of a layer, Inner the width inside one; a token is computed by Active of them.
	Experts, Inner, Active int
	// Window is the number of tokens that every other layer attends to, starting with the first layer.
	Window int
	// Selected are the layers whose states are the encoding, side by side.
	Selected []int
}

// The names of tensors.
const (
	table    = "embed_tokens.weight"
	firstKey = "layers.0.self_attn.sinks"
	experts  = ".mlp.experts."
	wordsKey = "tokenizer_json"
)

// special: <|endoftext|> pads.
var special = textenc.Empty{Start: tokenizer.None, End: tokenizer.None, Pad: 199999}

// Read implements family.Text. Upstream: sd.py detect_te_model.
func (kind) Read(src weights.Source) (family.TextEncoder, error) {
	s := weights.NewScope(src)
	if !s.Has(firstKey) || !s.Has("layers.0.mlp.experts.gate_up_proj.weight") {
		return nil, nil
	}
	c, err := read(s)
	if err != nil {
		return nil, err
	}
	return New(src, c), nil
}

// read takes the sizes from the shapes.
func read(s *weights.Scope) (Config, error) {
	layer := s.At("layers").Index(0)
	words, sinks, q, k := s.Shape(table), layer.Shape("self_attn.sinks"), layer.Shape("self_attn.q_proj.weight"), layer.Shape("self_attn.k_proj.weight")
	router, gate := layer.Shape("mlp.router.weight"), layer.Shape("mlp.experts.gate_up_proj.weight")
	if len(words) != 2 || len(sinks) != 1 || sinks[0] == 0 || len(q) != 2 || len(k) != 2 || len(router) != 2 || len(gate) != 3 {
		return Config{}, fmt.Errorf("reading the text encoder's shape: embed_tokens %v, sinks %v, q_proj %v, k_proj %v, router %v, gate_up_proj %v", words, sinks, q, k, router, gate)
	}
	c := Config{
		Vocab: words[0], Width: words[1], Layers: s.Count("layers"), Heads: sinks[0], HeadDim: q[0] / sinks[0], Experts: gate[0], Inner: gate[1] / 2,
		Active: 4, Window: 128, Selected: []int{5, 11, 17, 23},
	}
	c.KVHeads = k[0] / max(c.HeadDim, 1)
	if c.HeadDim < 2 || c.HeadDim%2 != 0 || c.Heads*c.HeadDim != q[0] || c.KVHeads < 1 || c.Heads%c.KVHeads != 0 || c.Experts < c.Active || router[0] != c.Experts || c.Inner < 1 {
		return c, fmt.Errorf("reading the text encoder's shape: %d heads of %d share %d of keys; %d experts of %d, and %d scores", c.Heads, c.HeadDim, c.KVHeads, c.Experts, c.Inner, router[0])
	}
	if last := c.Selected[len(c.Selected)-1]; c.Layers <= last {
		return c, fmt.Errorf("reading the text encoder's shape: it has %d layers, and Lens reads that behind layer %d", c.Layers, last+1)
	}
	return c, nil
}

// split shows the weights of a layer's experts one by one.
type split struct {
	weights.Source
	names []string
}

// apart returns a source with names such as layers.0.mlp.experts.3.down_proj.weight.
func apart(src weights.Source) weights.Source {
	s := split{Source: src}
	for _, n := range src.Names() {
		layer, rest, ok := strings.Cut(n, experts)
		e, found := src.Lookup(n)
		if !ok || !found || !strings.HasSuffix(rest, ".weight") && !strings.HasSuffix(rest, ".bias") || len(e.Shape) < 2 {
			s.names = append(s.names, n)
			continue
		}
		for i := range e.Shape[0] {
			s.names = append(s.names, layer+experts+strconv.Itoa(i)+"."+rest)
		}
	}
	return s
}

// Names implements weights.Source.
func (s split) Names() []string { return s.names }

// Lookup implements weights.Source.
func (s split) Lookup(name string) (weights.Entry, bool) {
	layer, rest, ok := strings.Cut(name, experts)
	number, part, numbered := strings.Cut(rest, ".")
	i, err := strconv.Atoi(number)
	if !ok || !numbered || err != nil {
		return s.Source.Lookup(name)
	}
	e, ok := s.Source.Lookup(layer + experts + part)
	if !ok || len(e.Shape) < 2 {
		return weights.Entry{}, false
	}
	e, err = e.Part(i, e.Shape[0])
	return e, err == nil
}

// Close implements weights.Source.
func (split) Close() error { return nil }

// Encoder is a network that was read from a file.
type Encoder struct {
	Config
	src   weights.Source
	words func() (tokenizer.Model, error)
}

var (
	_ family.TextEncoder   = (*Encoder)(nil)
	_ family.AdaptableText = (*Encoder)(nil)
)

// New returns the network of the given config with the tensors of src.
func New(src weights.Source, c Config) *Encoder {
	return &Encoder{Config: c, src: apart(src), words: textenc.Once(func() (tokenizer.Model, error) { return words(src) })}
}

// words reads the vocabulary, which the weight file carries; tokenizer.json beside the file serves, too.
func words(src weights.Source) (tokenizer.Model, error) {
	const what = "the tokenizer"
	if _, ok := src.Lookup(wordsKey); !ok {
		data, err := textenc.Beside(src, what, "tokenizer.json")
		if err != nil || data != nil {
			if err == nil {
				return hf.Parse(data)
			}
			return nil, err
		}
	}
	return textenc.Vocabulary(src, wordsKey, what, func(data []byte) (tokenizer.Model, error) { return hf.Parse(data) })
}

// Key implements family.TextEncoder.
func (e *Encoder) Key() string { return Key }

// Width implements family.TextEncoder.
func (e *Encoder) Width() int { return e.Config.Width }

// Weights implements family.TextEncoder.
func (e *Encoder) Weights() weights.Source { return e.src }

// Tokenize implements family.TextEncoder.
func (e *Encoder) Tokenize(prompt string, o family.TokenizeOptions) (tokenizer.Tokens, error) {
	return o.Lay(e.words, tokenizer.Options{Start: special.Start, End: special.End, Pad: special.Pad, MinLength: 1, Unweighted: true}, prompt)
}

// Encode implements family.TextEncoder: the states after the selected layers side by side, without a norm. There is no pooled output.
func (e *Encoder) Encode(ctx context.Context, run family.Runner, tokens tokenizer.Tokens, o family.EncodeOptions) (family.Encoding, error) {
	return o.Encode(ctx, call{e, run}, tokens, special, e.Config.Width)
}

// call is one use of the network, for textenc.
type call struct {
	*Encoder
	run family.Runner
}

// Forward implements textenc.Network.
func (c call) Forward(ctx context.Context, rows []textenc.Row) (textenc.Output, error) {
	n := len(rows[0].IDs)
	src, err := c.run.Patched(c.src)
	if err != nil {
		return textenc.Output{}, err
	}
	scope := weights.NewScope(src)
	words := scope.Weight(table, c.Vocab, c.Config.Width)
	if err := scope.Err(); err != nil {
		return textenc.Output{}, err
	}
	embeds, err := textenc.Embed(rows, words.Entry)
	if err != nil {
		return textenc.Output{}, err
	}
	if err := c.run.Check("encoding the prompt", c.memory(len(rows), n)); err != nil {
		return textenc.Output{}, err
	}
	all, near := hidden(rows, n), hidden(rows, c.Window)
	cos, sin := angles(n, c.HeadDim)
	shape := []int{1, n, c.HeadDim / 2}
	in := []family.Value{
		family.Floats(inEmbeds, embeds), family.Floats(inHidden, all), family.Floats(inNear, near),
		family.Floats(inCos, &tensor.Tensor{Shape: shape, Data: cos}), family.Floats(inSin, &tensor.Tensor{Shape: shape, Data: sin}),
	}
	res, err := c.run.Run(ctx, c.graph(), in, outStates)
	return textenc.Output{Hidden: res[outStates]}, err
}

// hidden marks the keys that a query does not attend to, [rows,1,tokens,tokens]: later ones, padding, and those before a window of
// tokens.
func hidden(rows []textenc.Row, window int) *tensor.Tensor {
	n := len(rows[0].IDs)
	out := tensor.New(len(rows), 1, n, n)
	for i, r := range rows {
		for q := range n {
			line := out.Data[(i*n+q)*n:][:n]
			for k := range line {
				if k > q || k <= q-window || r.Mask[k] == 0 {
					line[k] = 1
				}
			}
		}
	}
	return out
}

// memory is the bytes of activations for some rows of n tokens, which attend in all heads at once, and of an expert's matrices.
func (c Config) memory(rows, n int) int64 {
	const copies, results = 3, 5
	perToken := copies*c.Heads*(n+1) + len(c.Selected)*c.Width + 8*c.Width + 6*c.Inner + results*c.Active*c.Width + 4*c.Heads*c.HeadDim
	return family.Product(rows, n, perToken, 4) + family.Product(3, c.Inner, c.Width, 4)
}

func (e *Encoder) graph() family.Graph {
	return family.Graph{Part: "clip " + Key, Variant: family.Digest(e.Selected, e.Active), Streamed: true, Wide: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("gpt-oss", e.src, func(b *nn.Builder, s *weights.Scope) { (&writer{Builder: b, Config: e.Config}).write(s) })
	}}
}

// LoRAKeys implements family.AdaptableText.
func (e *Encoder) LoRAKeys(m *patch.KeyMap, part string, _ []string) {
	m.AddTextGeneric(patch.TextNames{Part: part, Names: e.src.Names()})
	m.Bake(func(key string) bool { return key == part+table })
}
