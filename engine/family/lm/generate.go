package lm

import (
	"context"
	"fmt"
	"slices"

	"comfygo/engine/family"
	"comfygo/engine/family/decoder"
	"comfygo/engine/tensor"
	"comfygo/engine/textenc"
	"comfygo/engine/tokenizer"
	"comfygo/engine/weights"
)

var _ family.Generator = (*Encoder)(nil)

// The places where files keep an output layer of its own.
var heads = []string{"model.lm_head.weight", "lm_head.weight"}

// stops are the tokens that end a text, by encoder (upstream: the stop_tokens of the config classes; those of Qwen 2.5 are
// Qwen 3's, those of Llama 3 and Mistral Small the models' own, because upstream does not generate with these).
func stops(key string) []int32 {
	switch key {
	case KeyLlama3:
		return []int32{128001, 128008, 128009}
	case KeyMistral, KeyMinistral:
		return []int32{2}
	case KeyGemma2:
		return []int32{1}
	case KeyGemma3S, KeyGemma3M:
		return []int32{1, 106}
	}
	return []int32{TokenEnd, TokenTurnEnd}
}

// untied are the models with an output layer other than the token table. Upstream reads Qwen 2.5 7B with the table, too.
var untied = []string{KeyLlama3, KeyMistral, KeyQwen3L, KeyQwen3VLL}

// head is the name of the output layer in the file.
func (e *Encoder) head() string {
	for _, name := range heads {
		if _, ok := e.src.Lookup(name); ok {
			return name
		}
	}
	return table
}

// CanGenerate implements family.Generator.
func (e *Encoder) CanGenerate() error {
	if e.head() == table && slices.Contains(untied, e.Config.Key) {
		return fmt.Errorf("generating text: %s lacks the model's output layer (%s), as files of text encoders do; use a file of the whole language model", e.src.Path(), heads[1])
	}
	return nil
}

// CacheBytes implements family.Generator.
func (e *Encoder) CacheBytes(tokens int) int64 {
	return decoder.Bytes(tokens, e.cacheWidths()...)
}

// cacheWidths are the widths of the keys of each layer, and of its values after them all.
func (c Config) cacheWidths() []int {
	out := make([]int, 2*c.Layers)
	for i := range out {
		out[i] = c.kvWidth()
	}
	return out
}

// kvWidth is the width of the keys, and of the values, of a token in one layer.
func (c Config) kvWidth() int { return c.KVHeads * c.HeadDim }

// Decode implements family.Generator.
func (e *Encoder) Decode(ids []int32) (string, error) {
	m, err := e.words()
	if err != nil {
		return "", err
	}
	d, ok := m.(tokenizer.Decoder)
	if !ok {
		return "", fmt.Errorf("decoding tokens: the tokenizer of %s cannot turn tokens into text", e.src.Path())
	}
	return d.Decode(ids)
}

// Generate implements family.Generator. Padding takes part, as in upstream.
func (e *Encoder) Generate(ctx context.Context, run family.Runner, tokens tokenizer.Tokens, o family.GenerateOptions) ([]int32, error) {
	if err := e.CanGenerate(); err != nil {
		return nil, err
	}
	if err := decoder.One(tokens); err != nil {
		return nil, err
	}
	tokens, images, err := e.withImages(ctx, run, tokens)
	if err != nil {
		return nil, err
	}
	if o.Stop == nil {
		o.Stop = stops(e.Config.Key)
	}
	w := &continuation{call: &call{Encoder: e, run: run, images: images}, cache: decoder.NewCache(run, o.Cached, e.cacheWidths()...)}
	row := textenc.Resolve(tokens[0], e.Config.Width, special(e.Config.Key))
	return decoder.Continue(ctx, row, o, func(ctx context.Context, row textenc.Row, first bool) ([]float32, error) {
		if first {
			return w.read(ctx, row, w.promptPlaces(row))
		}
		return w.read(ctx, row, inOrder(w.next, 1))
	})
}

// continuation is a text that grows.
type continuation struct {
	*call
	cache *decoder.Cache
	// next is the position of the token that comes next.
	next int
}

// promptPlaces are the positions of the prompt's tokens. Qwen 2.5 VL counts images as text when it generates, as upstream does.
func (w *continuation) promptPlaces(row textenc.Row) positions {
	if !w.alternating {
		return inOrder(0, len(row.IDs))
	}
	return amongImages(len(row.IDs), w.images, row.Mask, false)
}

// read reads tokens after those that were read before, and returns the logits of what follows.
func (w *continuation) read(ctx context.Context, row textenc.Row, places positions) ([]float32, error) {
	n, past := len(row.IDs), w.cache.Tokens
	embeds, err := w.embed([]textenc.Row{row})
	if err != nil {
		return nil, err
	}
	if err := w.cache.Reserve(n); err != nil {
		return nil, err
	}
	if err := w.run.Check("generating text", w.memory(1, n)+4*int64(w.Heads)*int64(n)*int64(past)+8*int64(w.Vocab)); err != nil {
		return nil, err
	}
	slides := w.window > 0 && past+n > w.window
	in := append(w.places(places), family.Floats(inEmbeds, embeds), family.Floats(inHidden, later(past, n)))
	if slides {
		in = append(in, family.Floats(inSlide, outsideOf(past, n, w.window)))
	}
	_, deep := w.vision.(deepTower)
	if deep {
		var images []span
		if past == 0 {
			images = w.images
		}
		in = append(in, w.deepInputs(1, n, images)...)
	}
	in = append(in, w.cache.Inputs(inPast)...)
	res, err := w.run.Run(ctx, w.decoder(slides, deep), in, outLogits, outCache)
	if err != nil {
		return nil, fmt.Errorf("generating text: %w", err)
	}
	w.cache.Add(n, func(i int) []float32 { return res[outCache].Index(i).Data })
	last := 0
	for _, axis := range places {
		last = max(last, axis[len(axis)-1])
	}
	w.next = last + 1
	return res[outLogits].Data, nil
}

// later marks the keys that come later than a query, [1,1,n,past+n].
func later(past, n int) *tensor.Tensor {
	out := tensor.New(1, 1, n, past+n)
	for q := range n {
		for k := past + q + 1; k < past+n; k++ {
			out.Data[q*(past+n)+k] = 1
		}
	}
	return out
}

// outsideOf is outside for n queries after past keys, [1,1,n,past+n].
func outsideOf(past, n, window int) *tensor.Tensor {
	out := tensor.New(1, 1, n, past+n)
	for q := range n {
		for k := range max(past+q-window+1, 0) {
			out.Data[q*(past+n)+k] = 4
		}
	}
	return out
}

// headScope is the scope of the output layer.
func headScope(s *weights.Scope, name string) *weights.Scope {
	switch name {
	case heads[0]:
		return s.At("model", "lm_head")
	case heads[1]:
		return s.At("lm_head")
	}
	return s.At("model", "embed_tokens")
}
