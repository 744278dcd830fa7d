package minimaxmusic

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/lm"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/textenc"
	"comfygo/engine/tokenizer"
	"comfygo/engine/tokenizer/hf"
	"comfygo/engine/weights"
)

func init() { family.Register(textKind{}) }

// textKind registers the language model, which is asked before those of texts.
type textKind struct{}

// Name implements family.Family.
func (textKind) Name() string { return "MiniMax Music 3 language model" }

// Rank implements family.Family.
func (textKind) Rank() int { return 187 }

// Key is the key of the language model.
const Key = "minimax_music3"

// The codes of a frame: the first one of firstCodes, each of the others of furtherCodes.
const (
	codebooks    = 8
	firstCodes   = 16384
	furtherCodes = 1024
	depthHeads   = 16
	places       = 16
)

// encoder is a language model that was read from a file, with a smaller network that writes the further codes of a frame.
type encoder struct {
	src   weights.Source
	words func() (tokenizer.Model, error)
	net   *lm.Encoder
	// width is the width of a state, depth and inner are the layers of the smaller network and the width inside them.
	width, depth, inner int
	// head and table are the names of the layer that gives the first code and of the tokens' table; pruned reports that the first codes have tables of
	// their own.
	head, table string
	pruned      struct{ head, table bool }
}

var _ family.TextEncoder = (*encoder)(nil)

const keyProjection = "model.audio_decoder.projection.weight"

// Read implements family.Text. Upstream: sd.py load_text_encoder_state_dicts.
func (textKind) Read(src weights.Source) (family.TextEncoder, error) {
	src = split{src}
	s := weights.NewScope(src)
	width := s.Shape(keyProjection)
	if width == nil {
		return nil, nil
	}
	e := &encoder{src: src, head: "model.lm_head", table: "model.embed_tokens.weight"}
	layer, depth := s.At("model.layers.0"), s.At("model.audio_decoder")
	q, k, down, inner := layer.Shape("self_attn.q_proj.weight"), layer.Shape("self_attn.k_proj.weight"), layer.Shape("mlp.down_proj.weight"), depth.Shape("layers.0.mlp.down_proj.weight")
	const head = 128
	if len(width) != 2 || len(q) != 2 || len(k) != 2 || len(down) != 2 || len(inner) != 2 || q[0]%head != 0 || k[0]%head != 0 || width[0]%depthHeads != 0 || q[1] != width[0] {
		return nil, fmt.Errorf("reading the shape of the language model: %s is %v, q_proj %v, k_proj %v, down_proj %v and %v: wanted heads of %d values", keyProjection, width, q, k, down, inner, head)
	}
	e.width, e.depth, e.inner = width[0], depth.Count("layers"), inner[1]
	if s.Has("model.lm_head_pruned.weight") {
		e.head, e.pruned.head = "model.lm_head_pruned", true
	}
	if s.Has("model.embed_tokens_prefill.weight") {
		e.table, e.pruned.table = "model.embed_tokens_prefill.weight", true
	}
	least := map[string]int{e.table: firstToken, "model.audio_extra_embedding.weight": furtherCodes * (codebooks - 1), e.head + ".weight": firstCodes + 1}
	if e.pruned.table {
		least["model.embed_tokens_audio.weight"] = firstCodes
	} else {
		least[e.table] = firstToken + firstCodes
	}
	if !e.pruned.head {
		least[e.head+".weight"] = firstToken + firstCodes
	}
	for name, rows := range least {
		if shape := s.Shape(name); len(shape) != 2 || shape[0] < rows || shape[1] != e.width {
			return nil, fmt.Errorf("reading the shape of the language model: %s is %v, wanted %d rows of %d values: take the file as it was published", name, shape, rows, e.width)
		}
	}
	e.net = lm.New(src, lm.Qwen3(e.width, s.Count("model.layers"), q[0]/head, k[0]/head, down[1]))
	e.words = textenc.Once(func() (tokenizer.Model, error) { return vocabulary(src) })
	return e, nil
}

// vocabulary is the tokenizer in the file, with the tokens of songs at the numbers that the model knows.
func vocabulary(src weights.Source) (tokenizer.Model, error) {
	data, err := textenc.Embedded(src, "tokenizer_json", "the tokenizer of MiniMax Music 3")
	if err != nil {
		return nil, err
	}
	m, err := hf.Parse(data)
	if err != nil {
		return nil, err
	}
	return m, checkWords(m, src.Path())
}

// specials are the tokens of the prompt by their numbers.
var specials = map[string]int32{
	"<|im_start|>": 151644, "<|im_end|>": 151645, "<|audio_cfg|>": tokenNone, "<|audio_start|>": 151669, "<|audio_end|>": tokenEnd,
	"<|caption_start|>": 151671, "<|caption_end|>": 151672, "<|lyrics_start|>": 151673, "<|lyrics_end|>": 151674,
}

// checkWords fails for a tokenizer that numbers the tokens of the prompt otherwise. Upstream: MiniMaxMusic3Tokenizer.
func checkWords(m tokenizer.Model, path string) error {
	for text, id := range specials {
		if got, err := m.Encode(text); err != nil || len(got) != 1 || got[0] != id {
			return fmt.Errorf("reading the tokenizer of %s: %s is %v, wanted %d: it is not that of MiniMax Music 3", path, text, got, id)
		}
	}
	return nil
}

// split shows projections that a file joins as single ones: queries, keys and values, and the two of a gated layer.
type split struct{ weights.Source }

// Close implements weights.Source.
func (split) Close() error { return nil }

// Lookup implements weights.Source.
func (s split) Lookup(name string) (weights.Entry, bool) {
	if e, ok := s.Source.Lookup(name); ok {
		return e, true
	}
	for i, part := range []string{"q_proj", "k_proj", "v_proj", "gate_proj", "up_proj"} {
		layer, ok := strings.CutSuffix(name, "."+part+".weight")
		if !ok {
			continue
		}
		if i > 2 {
			e, ok := s.Source.Lookup(layer + ".gate_up_proj.weight")
			if !ok || len(e.Shape) != 2 {
				return weights.Entry{}, false
			}
			half := e.Shape[0] / 2
			e, err := e.Rows((i-3)*half, half)
			return e, err == nil
		}
		e, ok := s.Source.Lookup(layer + ".qkv_proj.weight")
		o, okO := s.Source.Lookup(layer + ".o_proj.weight")
		if !ok || !okO || len(e.Shape) != 2 || len(o.Shape) != 2 {
			return weights.Entry{}, false
		}
		q := o.Shape[1]
		kv := (e.Shape[0] - q) / 2
		from, n := []int{0, q, q + kv}[i], []int{q, kv, kv}[i]
		e, err := e.Rows(from, n)
		return e, err == nil
	}
	return weights.Entry{}, false
}

// Key implements family.TextEncoder.
func (*encoder) Key() string { return Key }

// Width implements family.TextEncoder.
func (e *encoder) Width() int { return e.width }

// Weights implements family.TextEncoder.
func (e *encoder) Weights() weights.Source { return e.src }

// Tokenize implements family.TextEncoder.
func (e *encoder) Tokenize(prompt string, o family.TokenizeOptions) (tokenizer.Tokens, error) {
	return o.Lay(e.words, tokenizer.Options{Start: tokenizer.None, End: tokenizer.None, Pad: tokenPad, MinLength: 1, Unweighted: true}, prompt)
}

// Encode implements family.TextEncoder.
func (*encoder) Encode(context.Context, family.Runner, tokenizer.Tokens, family.EncodeOptions) (family.Encoding, error) {
	return family.Encoding{}, errors.New("encoding a prompt: MiniMax Music 3 writes songs: use MiniMaxMusic3TextEncode, and a CLIP loader of type " + loader)
}

// write writes the smaller network: inputs x [2,T,width] and places [1,T,width]; outputs state [2,width] of the last token and logits
// [2,7·1024], those of each further code side by side. Upstream: RVQDepthDecoder.
func (e *encoder) write(b *nn.Builder, s *weights.Scope) {
	const epsilon, rows = 1e-6, 2
	two, t, w := onnx.D(rows), onnx.Sym("T"), onnx.D(e.width)
	d := s.At("model.audio_decoder")
	x := b.Linear(d.At("projection"), dit.Input(b, "x", two, t, w), e.width)
	x = b.Add(x, dit.Input(b, "places", onnx.D(1), t, w))
	for i := range e.depth {
		l := d.At("layers").Index(i)
		a, y := l.At("self_attn"), b.RMSNorm(l.At("input_layernorm"), x, epsilon)
		q, k, v := b.Linear(a.At("q_proj"), y, e.width), b.Linear(a.At("k_proj"), y, e.width), b.Linear(a.At("v_proj"), y, e.width)
		x = b.Add(x, b.Linear(a.At("o_proj"), b.CausalAttention(q, k, v, depthHeads), e.width))
		m := l.At("mlp")
		y = b.RMSNorm(l.At("post_attention_layernorm"), x, epsilon)
		x = b.Add(x, b.Linear(m.At("down_proj"), b.SwiGLU(b.Linear(m.At("up_proj"), y, e.inner), b.Linear(m.At("gate_proj"), y, e.inner)), e.width))
	}
	x = b.RMSNorm(d.At("norm"), b.SliceDims(x, 1, t.Minus(onnx.D(1)), t), epsilon)
	var logits []*onnx.Value
	for i := range codebooks - 1 {
		logits = append(logits, b.Linear(d.At("audio_heads").Index(i), x, furtherCodes))
	}
	dit.Output(b, "state", b.Reshape(x, two, w))
	dit.Output(b, "logits", b.Reshape(b.Concat(2, logits...), two, onnx.D((codebooks-1)*furtherCodes)))
}

func (e *encoder) depthGraph() family.Graph {
	return family.Graph{Part: "clip " + Key + " codes", Steps: true, Streamed: true, Wide: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("minimax music codes", e.src, e.write)
	}}
}

// headGraph is the graph of the layer that gives the first code: input x [2,width], output logits [2,N].
func (e *encoder) headGraph(n int) family.Graph {
	return family.Graph{Part: "clip " + Key + " head", Steps: true, Streamed: true, Wide: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("minimax music head", e.src, func(b *nn.Builder, s *weights.Scope) {
			dit.Output(b, "logits", b.Linear(s.At(e.head), dit.Input(b, "x", onnx.D(2), onnx.D(e.width)), n))
		})
	}}
}

// vectors looks rows of a table up: [1,n,width] for each list of rows.
func vectors(src weights.Source, name string, lists ...[]int64) (*tensor.Tensor, error) {
	e, ok := src.Lookup(name)
	if !ok {
		return nil, fmt.Errorf("reading %s of %s: it is missing", name, src.Path())
	}
	rows := make([]textenc.Row, len(lists))
	for i, l := range lists {
		rows[i] = textenc.Row{IDs: l}
	}
	return textenc.Embed(rows, e)
}
