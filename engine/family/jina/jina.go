// Package jina is the family of the text half of Jina CLIP 2, an XLM-RoBERTa with rotary positions, which NewBie reads beside Gemma 3.
package jina

import (
	"context"
	"fmt"
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/patch"
	"comfygo/engine/tensor"
	"comfygo/engine/textenc"
	"comfygo/engine/tokenizer"
	"comfygo/engine/tokenizer/sentencepiece"
	"comfygo/engine/weights"
)

func init() { family.Register(kind{}) }

// kind registers the family.
type kind struct{}

func (kind) Name() string { return "Jina CLIP 2" }
func (kind) Rank() int    { return 310 }

// Key is the key of the encoder.
const Key = "jina_clip_2"

// special are the tokens <s>, </s> and <pad>.
var special = textenc.Empty{Start: 0, End: 2, Pad: 1}

// longest is the length of a chunk.
const longest = 8192

// Config describes the network (upstream: text_encoders/jina_clip_2.py XLMRobertaConfig).
type Config struct{ Width, Layers, Heads, MLP, Vocab, Kinds int }

const (
	table     = "model.embeddings.word_embeddings.weight"
	firstKey  = "model.encoder.layers.0.mixer.Wqkv.weight"
	headWidth = 64
	epsilon   = 1e-5
	theta     = 20000
)

// Read implements family.Text.
func (kind) Read(src weights.Source) (family.TextEncoder, error) {
	if _, ok := src.Lookup(firstKey); !ok {
		return nil, nil
	}
	s := weights.NewScope(src)
	rows, kinds, fc := s.Shape(table), s.Shape("model.embeddings.token_type_embeddings.weight"), s.Shape("model.encoder.layers.0.mlp.fc1.weight")
	if len(rows) != 2 || len(kinds) != 2 || len(fc) != 2 || rows[1]%headWidth != 0 || rows[1] == 0 {
		return nil, fmt.Errorf("reading the text encoder's shape: word_embeddings %v, token_type_embeddings %v, fc1 %v, wanted two dimensions each and heads of %d", rows, kinds, fc, headWidth)
	}
	e := &Encoder{Config: Config{
		Width: rows[1], Vocab: rows[0], Kinds: kinds[0], MLP: fc[0], Layers: s.Count("model.encoder.layers"), Heads: rows[1] / headWidth,
	}, src: src}
	e.words = textenc.Once(func() (tokenizer.Model, error) {
		return textenc.Vocabulary(src, "spiece_model", "the tokenizer", func(data []byte) (tokenizer.Model, error) { return sentencepiece.Parse(data) })
	})
	return e, nil
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
	return o.Lay(e.words, tokenizer.Options{MaxLength: longest, MinLength: 1, Start: special.Start, End: special.End, Pad: special.Pad}, prompt)
}

// Encode implements family.TextEncoder: the states of the last layer, and their mean over the tokens that are not padding.
func (e *Encoder) Encode(ctx context.Context, run family.Runner, tokens tokenizer.Tokens, o family.EncodeOptions) (family.Encoding, error) {
	return o.Encode(ctx, &call{e, run}, tokens, special, e.Config.Width)
}

// call is one use of the network, for textenc.
type call struct {
	*Encoder
	run family.Runner
}

// Forward implements textenc.Network.
func (c *call) Forward(ctx context.Context, rows []textenc.Row) (textenc.Output, error) {
	n := len(rows[0].IDs)
	embeds, err := c.embed(rows)
	if err != nil {
		return textenc.Output{}, err
	}
	if err := c.run.Check("encoding the prompt", c.memory(len(rows), n)); err != nil {
		return textenc.Output{}, err
	}
	var mask []int64
	for _, r := range rows {
		mask = append(mask, r.Mask...)
	}
	cos, sin := angles(n)
	shape := []int{1, n, headWidth / 2}
	res, err := c.run.Run(ctx, c.graph(), []family.Value{
		family.Floats("embeds", embeds), family.Ints("seen", mask, len(rows), n),
		family.Floats("cos", &tensor.Tensor{Shape: shape, Data: cos}), family.Floats("sin", &tensor.Tensor{Shape: shape, Data: sin}),
	}, "out")
	if err != nil {
		return textenc.Output{}, err
	}
	return textenc.Output{Hidden: res["out"], Pooled: mean(res["out"], rows)}, nil
}

// memory is the bytes of activations for n rows of t tokens.
func (c Config) memory(n, t int) int64 {
	return int64(n) * int64(t) * int64(4*(2*c.MLP+8*c.Width)+8*c.Heads*t)
}

// mean is the mean of the states [rows,tokens,width] of the tokens that are not padding.
func mean(h *tensor.Tensor, rows []textenc.Row) *tensor.Tensor {
	w := h.Dim(2)
	out := tensor.New(len(rows), w)
	for i, r := range rows {
		dst, count := out.Data[i*w:(i+1)*w], float32(0)
		for k, m := range r.Mask {
			if m == 0 {
				continue
			}
			count++
			for j, v := range h.Data[(i*len(r.Mask)+k)*w:][:w] {
				dst[j] += v
			}
		}
		for j := range dst {
			dst[j] /= count
		}
	}
	return out
}

// angles are the cosines and sines [tokens,D/2] of n tokens, in float32 step by step, as upstream computes them.
func angles(n int) (cos, sin []float32) {
	for t := range n {
		for i := range headWidth / 2 {
			frequency := 1 / float32(math.Pow(theta, float64(float32(2*i)/headWidth)))
			angle := float64(float32(t) * frequency)
			cos, sin = append(cos, float32(math.Cos(angle))), append(sin, float32(math.Sin(angle)))
		}
	}
	return cos, sin
}

// embed is the sum of the embeddings of tokens and of the first token type, [rows,tokens,width].
func (c *call) embed(rows []textenc.Row) (*tensor.Tensor, error) {
	src, err := c.run.Patched(c.src)
	if err != nil {
		return nil, err
	}
	scope, w := weights.NewScope(src), c.Config.Width
	e := scope.At("model", "embeddings")
	words, kinds := e.Weight("word_embeddings.weight", c.Vocab, w), e.Weight("token_type_embeddings.weight", c.Kinds, w)
	if err := scope.Err(); err != nil {
		return nil, err
	}
	x, err := textenc.Embed(rows, words.Entry)
	if err != nil {
		return nil, err
	}
	first := make([]float32, w)
	if err := weights.Range(first, kinds.Entry, 0); err != nil {
		return nil, err
	}
	for i := range x.Data {
		x.Data[i] += first[i%w]
	}
	return x, nil
}

// graph is the graph from "embeds" [B,T,width] to "out" [B,T,width], with "seen" [B,T], 1 for tokens that are not padding, and
// the cosines and sines [1,T,D/2].
func (c *call) graph() family.Graph {
	return family.Graph{Part: "clip " + Key, Variant: family.Digest(c.Config), Streamed: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("jina clip 2", c.src, func(b *nn.Builder, s *weights.Scope) { (&writer{Builder: b, cfg: c.Config}).write(s.At("model")) })
	}}
}

type writer struct {
	*nn.Builder
	cfg  Config
	rope *nn.Rotary
	seen *onnx.Value
}

func (w *writer) write(s *weights.Scope) {
	rows, t, one, half := onnx.Sym("B"), onnx.Sym("T"), onnx.D(1), onnx.D(headWidth/2)
	x := w.Cast(w.Input("embeds", dtype.F32, rows, t, onnx.D(w.cfg.Width)), w.Target.Compute)
	w.seen = w.Cast(w.Input("seen", dtype.I64, rows, t), dtype.I32)
	angle := func(name string) *onnx.Value { return w.Cast(w.Input(name, dtype.F32, one, t, half), w.Target.Compute) }
	w.rope = &nn.Rotary{Cos: angle("cos"), Sin: angle("sin")}
	h := w.LayerNorm(s.At("emb_ln"), x, epsilon)
	for i := range w.cfg.Layers {
		h = w.block(s.At("encoder", "layers").Index(i), h)
	}
	w.Output("out", w.Cast(h, dtype.F32))
}

func (w *writer) block(s *weights.Scope, x *onnx.Value) *onnx.Value {
	c, m := w.cfg.Width, s.At("mixer")
	part := func(i int) *onnx.Value { return w.LinearRows(m.At("Wqkv"), x, 3*c, i*c, c) }
	y := w.Attend(w.Rotate(part(0), w.rope, w.cfg.Heads), w.Rotate(part(1), w.rope, w.cfg.Heads), part(2), onnx.Attention{
		Heads: w.cfg.Heads, Scale: float32(1 / math.Sqrt(headWidth)), KeyMask: w.seen,
	})
	x = w.LayerNorm(s.At("norm1"), w.Add(w.Linear(m.At("out_proj"), y, c), x), epsilon)
	h := w.Gelu(w.Linear(s.At("mlp", "fc1"), x, w.cfg.MLP), false)
	return w.LayerNorm(s.At("norm2"), w.Add(w.Linear(s.At("mlp", "fc2"), h, c), x), epsilon)
}

// LoRAKeys implements family.AdaptableText (upstream: lora.py model_lora_keys_clip).
func (e *Encoder) LoRAKeys(m *patch.KeyMap, part string, _ []string) {
	n := patch.TextNames{Part: part, Names: e.src.Names()}
	m.AddTextGeneric(n)
	m.AddTextInner(n)
	m.Bake(func(key string) bool {
		return key == part+table || key == part+"model.embeddings.token_type_embeddings.weight"
	})
}
