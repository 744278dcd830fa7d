package stableaudio

import (
	"context"
	"fmt"
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/patch"
	"comfygo/engine/tensor"
	"comfygo/engine/textenc"
	"comfygo/engine/tokenizer"
	"comfygo/engine/tokenizer/sentencepiece"
	"comfygo/engine/weights"
)

// keyGemma is the key of T5Gemma's encoder, scheme3 the name of the text encoding of Stable Audio 3.
const (
	keyGemma = "t5gemma"
	scheme3  = "stable_audio_3"
)

// Upstream: text_encoders/sa3.py, which is taken for a file of T5Gemma whatever a loader's type.
func init() {
	family.Register(gemmaKind{})
	family.Register(family.Single{
		Label: "Stable Audio 3", Order: 69, Loader: scheme3,
		Encoder: family.SchemeEncoder{Key: keyGemma, Options: family.EncodeOptions{Masked: true, ZeroMasked: true}},
	})
}

// gemmaKind registers the encoder of T5Gemma.
type gemmaKind struct{}

// Name implements family.Family.
func (gemmaKind) Name() string { return "T5Gemma" }

// Rank implements family.Family.
func (gemmaKind) Rank() int { return 105 }

const (
	gemmaLayers = "model.encoder.layers"
	gemmaTable  = "model.encoder.embed_tokens.weight"
	gemmaHead   = 64
	// gemmaCap bounds the products of queries and keys.
	gemmaCap = 50
	// gemmaWindow is the reach of attention in every other layer.
	gemmaWindow = 4096
)

// gemma is an encoder that was read from a file.
type gemma struct {
	src                                weights.Source
	width, inner, layers, heads, vocab int
	words                              func() (tokenizer.Model, error)
}

var (
	_ family.TextEncoder   = (*gemma)(nil)
	_ family.AdaptableText = (*gemma)(nil)
)

// Read implements family.Text.
func (gemmaKind) Read(src weights.Source) (family.TextEncoder, error) {
	s := weights.NewScope(src)
	if !s.Has(gemmaLayers + ".0.pre_self_attn_layernorm.weight") {
		return nil, nil
	}
	q, mlp := gemmaLayers+".0.self_attn.q_proj.weight", gemmaLayers+".0.mlp.gate_proj.weight"
	g := &gemma{src: src, width: dim(s, gemmaTable, 1), vocab: dim(s, gemmaTable, 0), inner: dim(s, mlp, 0), layers: s.Count(gemmaLayers), heads: dim(s, q, 0) / gemmaHead}
	if g.width == 0 || g.inner == 0 || g.heads == 0 || dim(s, q, 0)%gemmaHead != 0 {
		return nil, fmt.Errorf("reading the text encoder's shape: %s %v, %s %v, %s %v", gemmaTable, s.Shape(gemmaTable), q, s.Shape(q), mlp, s.Shape(mlp))
	}
	g.words = textenc.Once(func() (tokenizer.Model, error) {
		return textenc.Vocabulary(src, "spiece_model", "the tokenizer", func(data []byte) (tokenizer.Model, error) { return sentencepiece.Parse(data) })
	})
	return g, nil
}

// Key implements family.TextEncoder.
func (g *gemma) Key() string { return keyGemma }

// Width implements family.TextEncoder.
func (g *gemma) Width() int { return g.width }

// Weights implements family.TextEncoder.
func (g *gemma) Weights() weights.Source { return g.src }

// gemmaSpecial are the special tokens: prompts are neither begun nor ended.
var gemmaSpecial = textenc.Empty{Start: tokenizer.None, End: tokenizer.None, Pad: 0}

// Tokenize implements family.TextEncoder.
func (g *gemma) Tokenize(prompt string, o family.TokenizeOptions) (tokenizer.Tokens, error) {
	return o.Lay(g.words, tokenizer.Options{Start: gemmaSpecial.Start, End: gemmaSpecial.End, Pad: gemmaSpecial.Pad, MinLength: 1}, prompt)
}

// LoRAKeys implements family.AdaptableText. The table is read outside the layers that adapters are branches of.
func (g *gemma) LoRAKeys(m *patch.KeyMap, part string, _ []string) {
	m.AddTextGeneric(patch.TextNames{Part: part, Names: g.src.Names()})
	m.Bake(func(key string) bool { return key == part+gemmaTable })
}

// Encode implements family.TextEncoder. There is no pooled output.
func (g *gemma) Encode(ctx context.Context, run family.Runner, tokens tokenizer.Tokens, o family.EncodeOptions) (family.Encoding, error) {
	c := &gemmaCall{gemma: g, run: run, layer: -1, norm: !o.RawHidden}
	for _, layer := range []int{o.Layer, o.Chosen} {
		if layer < 0 && -layer <= g.layers {
			c.layer = g.layers + layer
		}
	}
	return o.Encode(ctx, c, tokens, gemmaSpecial, g.width)
}

// gemmaCall is one use of the network, for textenc.
type gemmaCall struct {
	*gemma
	run family.Runner
	// layer is the layer whose states are the encoding, -1 for the last one; norm reports that it is normalised.
	layer int
	norm  bool
}

// Forward implements textenc.Network.
func (c *gemmaCall) Forward(ctx context.Context, rows []textenc.Row) (textenc.Output, error) {
	n := len(rows[0].IDs)
	src, err := c.run.Patched(c.src)
	if err != nil {
		return textenc.Output{}, err
	}
	scope := weights.NewScope(src)
	words := scope.Weight(gemmaTable, c.vocab, c.width)
	if kerr := scope.Err(); kerr != nil {
		return textenc.Output{}, kerr
	}
	embeds, err := textenc.Embed(rows, words.Entry)
	if err != nil {
		return textenc.Output{}, err
	}
	textenc.ScaleTokens(embeds, rows, float32(math.Sqrt(float64(c.width))))
	const f32 = 4
	if merr := c.run.Check("encoding the prompt", family.Product(len(rows), n, f32, 3*c.inner+8*c.width+3*c.heads*n)); merr != nil {
		return textenc.Output{}, merr
	}
	mask := tensor.New(len(rows), n)
	for i, r := range rows {
		for j, m := range r.Mask {
			mask.Data[i*n+j] = float32(m)
		}
	}
	positions := dit.Line(n, 0, 1)
	const theta = 10000
	in := append([]family.Value{family.Floats("embeds", embeds), family.Floats("mask", mask)}, dit.Angles(positions, theta, gemmaHead)...)
	far := n > gemmaWindow+1
	if far {
		in = append(in, family.Floats("window", beyond(n, gemmaWindow)))
	}
	out, err := c.run.Run(ctx, c.graph(far), in, "hidden")
	return textenc.Output{Hidden: out["hidden"]}, err
}

// beyond is 1 for pairs of n tokens that lie further apart than a window, [n,n].
func beyond(n, window int) *tensor.Tensor {
	out := tensor.New(n, n)
	for i := range n {
		for j := range n {
			if max(i-j, j-i) > window {
				out.Data[i*n+j] = 1
			}
		}
	}
	return out
}

func (c *gemmaCall) graph(far bool) family.Graph {
	return family.Graph{Part: "clip " + keyGemma, Variant: family.Digest(c.layer, c.norm, far), Streamed: true, Wide: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("t5gemma", c.src, func(b *nn.Builder, s *weights.Scope) { c.write(b, s, far) })
	}}
}

// write writes the encoder: inputs embeds [B,T,C], mask [B,T] of ones for tokens that are seen, cos and sin [1,T,D/2], and window [T,T] where texts are
// longer than it; output hidden [B,T,C]. Upstream: sa3.py T5GemmaEncoder.
func (c *gemmaCall) write(b *nn.Builder, s *weights.Scope, far bool) {
	const epsilon = 1e-6
	rows, tokens := onnx.Sym("B"), onnx.Sym("T")
	h := dit.Input(b, "embeds", rows, tokens, onnx.D(c.width))
	hiddenBy := b.Scalar(dtype.F32, -1e30)
	seen := b.Input("mask", dtype.F32, rows, tokens)
	mask := b.Unsqueeze(b.Mul(b.Sub(b.Scalar(dtype.F32, 1), seen), hiddenBy), 1, 2)
	near := mask
	if far {
		near = b.Add(mask, b.Unsqueeze(b.Mul(b.Input("window", dtype.F32, tokens, tokens), hiddenBy), 0, 1))
	}
	rope := dit.RotaryInputs(b, tokens, gemmaHead)
	rope.Interleaved = false
	norm := func(s *weights.Scope, x *onnx.Value) *onnx.Value { return b.RMSNormPlusOne(s, x, epsilon) }
	chosen := h
	for i := range c.layers {
		at := s.At(gemmaLayers).Index(i)
		m := mask
		if i%2 == 0 {
			m = near
		}
		y := c.attention(b, at.At("self_attn"), norm(at.At("pre_self_attn_layernorm"), h), m, rope)
		h = b.Add(h, norm(at.At("post_self_attn_layernorm"), y))
		x := norm(at.At("pre_feedforward_layernorm"), h)
		mlp := at.At("mlp")
		y = b.Mul(b.Gelu(b.Linear(mlp.At("gate_proj"), x, c.inner), true), b.Linear(mlp.At("up_proj"), x, c.inner))
		h = b.Add(h, norm(at.At("post_feedforward_layernorm"), b.Linear(mlp.At("down_proj"), y, c.width)))
		if i == c.layer {
			chosen = h
		}
	}
	if c.layer < 0 {
		chosen = h
	}
	if c.layer < 0 || c.norm {
		chosen = norm(s.At("model.encoder.norm"), chosen)
	}
	dit.Output(b, "hidden", chosen)
}

// attention bounds the products of queries and keys smoothly, which no fused operator does.
func (c *gemmaCall) attention(b *nn.Builder, s *weights.Scope, x, mask *onnx.Value, rope *nn.Rotary) *onnx.Value {
	width := c.heads * gemmaHead
	rows, tokens := x.Dim(0), x.Dim(1)
	part := func(name string, turned bool, order ...int) *onnx.Value {
		y := b.Linear(s.At(name), x, width)
		if turned {
			y = b.Rotate(y, rope, c.heads)
		}
		return b.Transpose(b.Reshape(b.Cast(y, dtype.F32), rows, tokens, onnx.D(c.heads), onnx.D(gemmaHead)), order...)
	}
	f := func(v float32) *onnx.Value { return b.Scalar(dtype.F32, v) }
	scores := b.MatMul(part("q_proj", true, 0, 2, 1, 3), part("k_proj", true, 0, 2, 3, 1))
	scores = b.Mul(b.Tanh(b.Mul(scores, f(float32(1/math.Sqrt(gemmaHead)/gemmaCap)))), f(gemmaCap))
	y := b.MatMul(b.Softmax(b.Add(scores, mask), -1), part("v_proj", false, 0, 2, 1, 3))
	y = b.Reshape(b.Transpose(y, 0, 2, 1, 3), rows, tokens, onnx.D(width))
	return b.Linear(s.At("o_proj"), b.Cast(y, x.DType), c.width)
}
