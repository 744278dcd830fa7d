// Package clip is the family of CLIP's text encoders: CLIP ViT-L of OpenAI, ViT-H and ViT-bigG of OpenCLIP, and those that
// were trained further with more positions (Long-CLIP).
package clip

import (
	"context"
	"fmt"
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/textenc"
	"comfygo/engine/tokenizer"
	"comfygo/engine/weights"
	"comfygo/engine/weights/layout"
)

func init() { family.Register(kind{}) }

// kind registers the family.
type kind struct{}

func (kind) Name() string { return "CLIP" }
func (kind) Rank() int    { return 10 }

// The keys of the encoders.
const (
	KeyL = "clip_l"
	KeyH = "clip_h"
	KeyG = "clip_g"
)

// Config describes a CLIP text encoder (upstream: clip_model.py CLIPTextModel and its config files).
type Config struct {
	// Key is KeyL, KeyH or KeyG.
	Key                       string
	Width, Layers, Heads, MLP int
	// Positions is the number of tokens in a chunk.
	Positions int
	// Vocab is the number of rows of the token table.
	Vocab int
	// QuickGelu selects x·sigmoid(1.702x); otherwise the MLP uses the exact GELU.
	QuickGelu bool
	// Empty holds the special tokens of an empty prompt.
	Empty textenc.Empty
	// Projection is the width of the pooled output after text_projection; 0 where the file has none.
	Projection int
}

const first = "text_model.encoder.layers.0.mlp.fc1.weight"

// The numbers of layers from which on an encoder is taken for ViT-H and ViT-bigG (upstream: sd.py detect_te_model).
const (
	layersH = 23
	layersG = 31
)

// headWidth is the width of an attention head in all of them.
const headWidth = 64

// Prefixes implements family.Prefixed: those of the first encoder in checkpoints of Stable Diffusion 1.x, 2.x and XL, and
// those of saved encoders.
func (kind) Prefixes() []string {
	return []string{
		"cond_stage_model.transformer.", "cond_stage_model.model.", "conditioner.embedders.0.transformer.", "conditioner.embedders.0.model.",
		"clip_l.transformer.", "clip_g.transformer.", "clip_h.transformer.",
	}
}

// Read implements family.Text: an encoder in the layout of transformers or of OpenCLIP, with or without "text_model.".
func (kind) Read(src weights.Source) (family.TextEncoder, error) {
	if has(src, "text_projection") && has(src, "transformer."+first) { // saved one level higher than the network
		src = layout.Renamed(src, func(name string) string { return strings.TrimPrefix(name, "transformer.") })
	}
	view := layout.CLIPText(src)
	if _, ok := view.Lookup(first); !ok {
		if view = (nested{Source: src, prefix: "text_model."}); !has(view, first) {
			return nil, nil
		}
	}
	cfg, err := read(weights.NewScope(view))
	if err != nil {
		return nil, err
	}
	return New(view, cfg), nil
}

func has(src weights.Source, name string) bool {
	_, ok := src.Lookup(name)
	return ok
}

func read(s *weights.Scope) (Config, error) {
	table := s.Shape("text_model.embeddings.token_embedding.weight")
	pos := s.Shape("text_model.embeddings.position_embedding.weight")
	fc := s.Shape(first)
	if len(table) != 2 || len(pos) != 2 || len(fc) != 2 {
		return Config{}, fmt.Errorf("reading the text encoder's shape: token_embedding %v, position_embedding %v, mlp.fc1 %v, wanted two dimensions each", table, pos, fc)
	}
	c := Config{
		Key: KeyL, Width: table[1], Vocab: table[0], Positions: pos[0], MLP: fc[0], QuickGelu: true, Empty: textenc.CLIPL,
		Layers: s.Count("text_model.encoder.layers"), Heads: max((table[1]+headWidth-1)/headWidth, 1),
	}
	switch {
	case c.Layers >= layersG:
		c.Key = KeyG
	case c.Layers >= layersH:
		c.Key = KeyH
	}
	if c.Key != KeyL {
		c.QuickGelu, c.Empty.Pad = false, 0
	}
	if p := s.Shape("text_projection.weight"); len(p) == 2 && p[1] == c.Width {
		c.Projection = p[0]
	}
	return c, nil
}

// nested shows the tensors of a source one level deeper than they are.
type nested struct {
	weights.Source
	prefix string
}

// Names implements weights.Source.
func (n nested) Names() []string {
	names := n.Source.Names()
	out := make([]string, len(names))
	for i, s := range names {
		out[i] = n.prefix + s
	}
	return out
}

// Lookup implements weights.Source.
func (n nested) Lookup(name string) (weights.Entry, bool) {
	if len(name) < len(n.prefix) || name[:len(n.prefix)] != n.prefix {
		return weights.Entry{}, false
	}
	return n.Source.Lookup(name[len(n.prefix):])
}

// Encoder is a CLIP text encoder that was read from a file.
type Encoder struct {
	Config
	src weights.Source
}

var _ family.TextEncoder = (*Encoder)(nil)

// New returns the encoder of the given config with the tensors of src, in the layout of transformers.
func New(src weights.Source, c Config) *Encoder { return &Encoder{Config: c, src: src} }

// Key implements family.TextEncoder.
func (e *Encoder) Key() string { return e.Config.Key }

// Width implements family.TextEncoder.
func (e *Encoder) Width() int { return e.Config.Width }

// Weights implements family.TextEncoder.
func (e *Encoder) Weights() weights.Source { return e.src }

// Tokenize implements family.TextEncoder.
func (e *Encoder) Tokenize(prompt string, o family.TokenizeOptions) (tokenizer.Tokens, error) {
	return tokenize(e.Empty.Pad, e.Positions, prompt, o)
}

func tokenize(pad int32, positions int, prompt string, o family.TokenizeOptions) (tokenizer.Tokens, error) {
	opts := tokenizer.CLIPOptions(pad)
	opts.MaxLength = positions
	return tokenizer.New(tokenizer.CLIP(), o.Apply(opts)).Tokenize(prompt, o.Embedding)
}

var _ family.Vocabulary = kind{}

// Tokenizer implements family.Vocabulary.
func (kind) Tokenizer(key string) family.Tokenizer {
	pad := int32(0)
	switch key {
	case KeyL:
		pad = tokenizer.CLIPEnd
	case KeyG, KeyH:
	default:
		return nil
	}
	return func(prompt string, o family.TokenizeOptions) (tokenizer.Tokens, error) {
		return tokenize(pad, tokenizer.CLIPOptions(pad).MaxLength, prompt, o)
	}
}

// Encode implements family.TextEncoder.
func (e *Encoder) Encode(ctx context.Context, run family.Runner, tokens tokenizer.Tokens, o family.EncodeOptions) (family.Encoding, error) {
	v := variant{layer: -1, norm: !o.RawHidden, masked: o.Masked}
	for _, layer := range []int{o.Layer, o.Chosen} {
		if layer < 0 && -layer <= e.Layers {
			v.layer = e.Layers + layer
		}
	}
	special := e.Empty
	if o.Special != nil {
		special = *o.Special
	}
	r, err := textenc.Encode(ctx, &call{Encoder: e, run: run, variant: v, projected: o.Projected}, tokens, textenc.Settings{Empty: special, Width: e.Config.Width})
	out := family.Encoding{Hidden: r.Hidden, Pooled: r.Pooled}
	if o.ReturnMask {
		out.Mask = r.Mask
	}
	return out, err
}

// Graph is the graph whose hidden output is that of a layer counted from the end, 0 for none.
func (e *Encoder) Graph(layer int, norm bool) family.Graph {
	v := variant{layer: -1, norm: norm}
	if layer < 0 {
		v.layer = e.Layers + layer
	}
	return e.graph(v)
}

func (e *Encoder) graph(v variant) family.Graph {
	// A prompt is short against the weights that it passes through: widening them on the way costs little, and keeping
	// them wide would cost more memory than all of a prompt's work.
	return family.Graph{Part: "clip " + e.Config.Key, Variant: v.digest(), Streamed: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return graph(e.src, e.Config, v, s)
	}}
}

// call is one use of the network, for textenc.
type call struct {
	*Encoder
	run     family.Runner
	variant variant
	// projected projects the pooled output.
	projected bool
}

// Forward implements textenc.Network. The pooled output is that of each row's end token, projected on request.
func (c *call) Forward(ctx context.Context, rows []textenc.Row) (textenc.Output, error) {
	if n := len(rows[0].IDs); n != c.Positions {
		return textenc.Output{}, fmt.Errorf("a chunk has %d tokens, the text encoder takes %d", n, c.Positions)
	}
	src, err := c.run.Patched(c.src)
	if err != nil {
		return textenc.Output{}, err
	}
	scope := weights.NewScope(src)
	table := scope.Weight("text_model.embeddings.token_embedding.weight", c.Vocab, c.Config.Width)
	if err := scope.Err(); err != nil {
		return textenc.Output{}, err
	}
	embeds, err := textenc.Embed(rows, table.Entry)
	if err != nil {
		return textenc.Output{}, err
	}
	outputs, from := []string{outLast}, outLast
	if c.variant.layer >= 0 {
		outputs, from = append(outputs, outHidden), outHidden
	}
	in := []family.Value{family.Floats("embeds", embeds)}
	if c.variant.masked {
		in = append(in, family.Floats("unseen", unseen(rows)))
	}
	res, err := c.run.Run(ctx, c.graph(c.variant), in, outputs...)
	if err != nil {
		return textenc.Output{}, err
	}
	pooled := pick(res[outLast], rows)
	if c.projected {
		pooled, err = c.project(pooled)
	}
	return textenc.Output{Hidden: res[from], Pooled: pooled}, err
}

// unseen marks for each pair of tokens of each row whether the second is hidden from the first, [rows,1,T,T]: it comes later,
// or is padding.
func unseen(rows []textenc.Row) *tensor.Tensor {
	n := len(rows[0].IDs)
	out := tensor.New(len(rows), 1, n, n)
	for i, r := range rows {
		for at := range n * n {
			if query, key := at/n, at%n; key > query || r.Mask[key] == 0 {
				out.Data[i*n*n+at] = 1
			}
		}
	}
	return out
}

// project multiplies pooled states [n,width] by the projection, if there is one.
func (c *call) project(pooled *tensor.Tensor) (*tensor.Tensor, error) {
	if c.Projection == 0 {
		c.run.Log().Warn("the text encoder has no text projection; its pooled output is used as it is", "encoder", c.Config.Key, "file", c.src.Path())
		return pooled, nil
	}
	src, err := c.run.Patched(c.src)
	if err != nil {
		return nil, err
	}
	e, _ := src.Lookup("text_projection.weight")
	p, err := weights.Float32s(e)
	if err != nil {
		return nil, fmt.Errorf("reading the text projection: %w", err)
	}
	n, w := pooled.Dim(0), c.Config.Width
	out := tensor.New(n, c.Projection)
	for i := range n {
		row := pooled.Data[i*w : (i+1)*w]
		for j := range c.Projection {
			var sum float64
			for k, v := range p[j*w : (j+1)*w] {
				sum += float64(v) * float64(row[k])
			}
			out.Data[i*c.Projection+j] = float32(sum)
		}
	}
	return out, nil
}

// pick takes the states of each row's last token that counts: [n,T,width] to [n,width].
func pick(states *tensor.Tensor, rows []textenc.Row) *tensor.Tensor {
	t, w := states.Dim(1), states.Dim(2)
	out := tensor.New(len(rows), w)
	for i, r := range rows {
		copy(out.Data[i*w:(i+1)*w], states.Data[(i*t+r.Last)*w:])
	}
	return out
}
