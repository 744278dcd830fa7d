// Package bert is the family of BERT's encoders, of which the Chinese RoBERTa of Hunyuan-DiT is one.
package bert

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"comfygo/engine/dtype"
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

func (kind) Name() string { return "BERT" }
func (kind) Rank() int    { return 300 }

// Key is the key of the encoder.
const Key = "hydit_clip"

// special are the tokens [CLS], [SEP] and [PAD].
var special = textenc.Empty{Start: 101, End: 102, Pad: 0}

// longest and shortest are the lengths of a chunk and of a prompt.
const (
	longest  = 512
	shortest = 77
)

// vocabulary is the name of the file with the words, a line each.
const vocabulary = "vocab.txt"

// wordsBeside reads the vocabulary of a network, whose licence does not allow shipping it with this program, from the folder
// hydit_clip_tokenizer beside the weights or from beside them.
func wordsBeside(src weights.Source, size int) (tokenizer.Model, error) {
	data, err := textenc.Beside(src, "the vocabulary", filepath.Join(Key+"_tokenizer", vocabulary), vocabulary)
	if err != nil {
		return nil, err
	}
	if data == nil {
		return nil, fmt.Errorf("reading the vocabulary of %s: that of Hunyuan-DiT's BERT is not part of this program; put the vocab.txt of the model into the folder %s_tokenizer beside the file", src.Path(), Key)
	}
	p, err := hf.BERT(data)
	if err != nil {
		return nil, fmt.Errorf("reading the vocabulary of %s: %w", src.Path(), err)
	}
	if p.Size() != size {
		return nil, fmt.Errorf("reading the vocabulary of %s: %s has %d words, the text encoder %d: use the one that was published with it", src.Path(), vocabulary, p.Size(), size)
	}
	for word, want := range map[string]int32{"[CLS]": special.Start, "[SEP]": special.End, "[PAD]": special.Pad} {
		if id, ok := p.ID(word); !ok || id != want {
			return nil, fmt.Errorf("reading the vocabulary of %s: %s does not have %s in line %d: use the one that was published with the text encoder", src.Path(), vocabulary, word, want+1)
		}
	}
	return p, nil
}

// Config describes the network (upstream: text_encoders/bert.py BertModel and hydit_clip.json).
type Config struct{ Width, Layers, Heads, MLP, Positions, Vocab, Kinds int }

const (
	root      = "bert."
	firstKey  = root + "encoder.layer.0.attention.self.query.weight"
	table     = root + "embeddings.word_embeddings.weight"
	headWidth = 64
	epsilon   = 1e-12
)

// Read implements family.Text.
func (kind) Read(src weights.Source) (family.TextEncoder, error) {
	if _, ok := src.Lookup(firstKey); !ok {
		return nil, nil
	}
	s := weights.NewScope(src)
	e := s.At("bert", "embeddings")
	rows, positions, kinds := s.Shape(table), e.Shape("position_embeddings.weight"), e.Shape("token_type_embeddings.weight")
	mlp := s.Shape(root + "encoder.layer.0.intermediate.dense.weight")
	if len(rows) != 2 || len(positions) != 2 || len(kinds) != 2 || len(mlp) != 2 {
		return nil, fmt.Errorf("reading the text encoder's shape: word_embeddings %v, position_embeddings %v, token_type_embeddings %v, intermediate.dense %v, wanted two dimensions each", rows, positions, kinds, mlp)
	}
	return New(src, Config{
		Width: rows[1], Vocab: rows[0], Positions: positions[0], Kinds: kinds[0], MLP: mlp[0], Layers: s.Count("bert.encoder.layer"), Heads: max(rows[1]/headWidth, 1),
	}), nil
}

// New returns the network of the given config with the tensors of src.
func New(src weights.Source, c Config) *Encoder {
	return &Encoder{Config: c, src: src, words: textenc.Once(func() (tokenizer.Model, error) { return wordsBeside(src, c.Vocab) })}
}

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

// Key implements family.TextEncoder.
func (*Encoder) Key() string { return Key }

// Width implements family.TextEncoder.
func (e *Encoder) Width() int { return e.Config.Width }

// Weights implements family.TextEncoder.
func (e *Encoder) Weights() weights.Source { return e.src }

// Tokenize implements family.TextEncoder.
func (e *Encoder) Tokenize(prompt string, o family.TokenizeOptions) (tokenizer.Tokens, error) {
	return o.Lay(e.words, tokenizer.Options{MaxLength: longest, MinLength: shortest, Start: special.Start, End: special.End, Pad: special.Pad}, prompt)
}

// Encode implements family.TextEncoder. There is no pooled output.
func (e *Encoder) Encode(ctx context.Context, run family.Runner, tokens tokenizer.Tokens, o family.EncodeOptions) (family.Encoding, error) {
	c := &call{Encoder: e, run: run, masked: o.Masked, layer: e.Layers - 1}
	for _, layer := range []int{o.Layer, o.Chosen} {
		if layer < 0 && -layer <= e.Layers {
			c.layer = e.Layers + layer
		}
	}
	return o.Encode(ctx, c, tokens, special, e.Config.Width)
}

// call is one use of the network, for textenc.
type call struct {
	*Encoder
	run    family.Runner
	masked bool
	layer  int
}

// Forward implements textenc.Network.
func (c *call) Forward(ctx context.Context, rows []textenc.Row) (textenc.Output, error) {
	n := len(rows[0].IDs)
	if n > c.Positions {
		return textenc.Output{}, fmt.Errorf("encoding a prompt: it has %d tokens, the text encoder reads at most %d; use a shorter prompt", n, c.Positions)
	}
	embeds, err := c.embed(rows)
	if err != nil {
		return textenc.Output{}, err
	}
	hidden := tensor.New(len(rows), 1, n, n)
	for i, r := range rows {
		for at := range n * n {
			if c.masked && r.Mask[at%n] == 0 {
				hidden.Data[i*n*n+at] = 1
			}
		}
	}
	res, err := c.run.Run(ctx, c.graph(n), []family.Value{family.Floats("embeds", embeds), family.Floats("hidden", hidden)}, "out")
	return textenc.Output{Hidden: res["out"]}, err
}

// embed is the sum of the embeddings of tokens, of their positions and of the first token type, [rows,tokens,width].
func (c *call) embed(rows []textenc.Row) (*tensor.Tensor, error) {
	src, err := c.run.Patched(c.src)
	if err != nil {
		return nil, err
	}
	scope, w := weights.NewScope(src), c.Config.Width
	e := scope.At("bert", "embeddings")
	words, positions := e.Weight("word_embeddings.weight", c.Vocab, w), e.Weight("position_embeddings.weight", c.Positions, w)
	kinds := e.Weight("token_type_embeddings.weight", c.Kinds, w)
	if err := scope.Err(); err != nil {
		return nil, err
	}
	x, err := textenc.Embed(rows, words.Entry)
	if err != nil {
		return nil, err
	}
	size := len(rows[0].IDs) * w
	places, first := make([]float32, size), make([]float32, w)
	if err := weights.Range(places, positions.Entry, 0); err != nil {
		return nil, err
	}
	if err := weights.Range(first, kinds.Entry, 0); err != nil {
		return nil, err
	}
	for i := range x.Data {
		x.Data[i] += places[i%size]
		x.Data[i] += first[i%w]
	}
	return x, nil
}

// graph is the graph for rows of n tokens: "embeds" [B,n,width] and "hidden" [B,1,n,n], 1 for a key that a query does not
// attend to, to "out" [B,n,width].
func (c *call) graph(n int) family.Graph {
	return family.Graph{Part: "clip " + Key, Variant: family.Digest(c.layer, n), Streamed: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("bert", c.src, func(b *nn.Builder, s *weights.Scope) {
			s = s.At("bert")
			w := &writer{b, c.Config}
			x := b.Cast(b.Input("embeds", dtype.F32, onnx.Sym("B"), onnx.D(n), onnx.D(w.cfg.Width)), b.Target.Compute)
			h := b.LayerNorm(s.At("embeddings", "LayerNorm"), x, epsilon)
			bias := b.Cast(b.Mul(b.Input("hidden", dtype.F32, onnx.Sym("B"), onnx.D(1), onnx.D(n), onnx.D(n)), b.Scalar(dtype.F32, w.far())), b.Target.Compute)
			for i := range c.layer + 1 {
				h = w.block(s.At("encoder", "layer").Index(i), h, bias)
			}
			b.Output("out", b.Cast(h, dtype.F32))
		})
	}}
}

type writer struct {
	*nn.Builder
	cfg Config
}

// far is what hides a key, within the range of the compute type.
func (w *writer) far() float32 {
	if w.Target.Compute == dtype.F16 {
		return -6e4
	}
	return -math.MaxFloat32 / 4
}

func (w *writer) block(s *weights.Scope, x, bias *onnx.Value) *onnx.Value {
	c, a := w.cfg.Width, s.At("attention")
	q, k, v := w.Linear(a.At("self", "query"), x, c), w.Linear(a.At("self", "key"), x, c), w.Linear(a.At("self", "value"), x, c)
	y := w.Attend(q, k, v, onnx.Attention{Heads: w.cfg.Heads, Scale: float32(1 / math.Sqrt(float64(c/w.cfg.Heads))), Bias: bias})
	x = w.LayerNorm(a.At("output", "LayerNorm"), w.Add(w.Linear(a.At("output", "dense"), y, c), x), epsilon)
	h := w.Gelu(w.Linear(s.At("intermediate", "dense"), x, w.cfg.MLP), false)
	return w.LayerNorm(s.At("output", "LayerNorm"), w.Add(w.Linear(s.At("output", "dense"), h, c), x), epsilon)
}

// LoRAKeys implements family.AdaptableText (upstream: lora.py model_lora_keys_clip).
func (e *Encoder) LoRAKeys(m *patch.KeyMap, part string, _ []string) {
	n := patch.TextNames{Part: part, Names: e.src.Names()}
	m.AddTextGeneric(n)
	m.AddTextInner(n)
	m.AddKohya("lora_te1_", root, n)
	m.Bake(func(key string) bool {
		return strings.HasPrefix(key, part+root+"embeddings.") && strings.HasSuffix(key, "_embeddings.weight")
	})
}
