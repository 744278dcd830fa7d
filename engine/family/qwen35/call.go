package qwen35

import (
	"context"
	"fmt"
	"slices"

	"comfygo/engine/family"
	"comfygo/engine/family/decoder"
	"comfygo/engine/family/lm"
	"comfygo/engine/tensor"
	"comfygo/engine/textenc"
	"comfygo/engine/tokenizer"
	"comfygo/engine/weights"
)

// piece is the number of tokens that are read at once: within it linear layers are computed as matrices, from one to the next by their state. The
// outcome is the same whatever its size.
const piece = 64

// call is one use of the network, for textenc.
type call struct {
	*Encoder
	run    family.Runner
	images []lm.Span
	// layer is the layer after which states are wanted, -1 for the last; norm applies the last norm to them.
	layer        int
	norm, masked bool
}

// Forward implements textenc.Network.
func (c *call) Forward(ctx context.Context, rows []textenc.Row) (textenc.Output, error) {
	n := len(rows[0].IDs)
	out := tensor.New(len(rows), n, c.Config.Width)
	for i, row := range rows {
		t := c.begin(nil)
		places := lm.AmongImages(n, c.images, row.Mask)
		for from := 0; from < n; from += piece {
			to := min(from+piece, n)
			states, err := t.read(ctx, row, places, from, to, outStates)
			if err != nil {
				return textenc.Output{}, err
			}
			copy(out.Index(i).Data[from*c.Config.Width:], states.Data[:(to-from)*c.Config.Width])
		}
	}
	return textenc.Output{Hidden: out}, nil
}

// text is a text that is read piece by piece.
type text struct {
	*call
	cache *decoder.Cache
	// states are the states of linear layers: the state of the delta rule, and the last inputs of the convolution.
	states [][2]*tensor.Tensor
	// mask are the tokens before that count.
	mask []int64
}

func (c *call) begin(cached func(bytes int64)) *text {
	t := &text{call: c, cache: decoder.NewCache(c.run, cached, c.cacheWidths()...)}
	for i := range c.Layers {
		if !c.full(i) {
			t.states = append(t.states, [2]*tensor.Tensor{tensor.New(c.ValueHeads, c.KeyDim, c.ValueDim), tensor.New(1, c.Kernel-1, c.mixed())})
		}
	}
	return t
}

// read reads the tokens from to to of a row at their positions, and returns the requested output: states [piece,width] or logits.
func (t *text) read(ctx context.Context, row textenc.Row, places [][]int, from, to int, output string) (*tensor.Tensor, error) {
	n, past := to-from, t.cache.Tokens
	size := piece
	if n == 1 {
		size = 1
	}
	if err := t.cache.Reserve(n); err != nil {
		return nil, err
	}
	if err := t.run.Check("running the language model", t.memory(size, past)); err != nil {
		return nil, err
	}
	in, err := t.inputs(row, places, from, to, size)
	if err != nil {
		return nil, err
	}
	in = append(in, t.cache.Inputs(inPast)...)
	names := []string{output}
	for i, s := range t.states {
		in = append(in, family.Floats(inState(i), s[0]), family.Floats(inMixed(i), s[1]))
		names = append(names, outState(i), outMixed(i))
	}
	for i := range t.cacheWidths() {
		names = append(names, outKept(i))
	}
	v := variant{size: size, layer: t.layer, norm: t.norm, logits: output == outLogits}
	res, err := t.run.Run(ctx, t.graph(v), in, names...)
	if err != nil {
		return nil, err
	}
	for i := range t.states {
		t.states[i] = [2]*tensor.Tensor{res[outState(i)], behind(t.states[i][1], res[outMixed(i)], n)}
	}
	t.cache.Add(n, func(i int) []float32 { return res[outKept(i)].Data[:n*t.kvWidth()] })
	t.mask = append(t.mask, row.Mask[from:to]...)
	return res[output], nil
}

// behind are the last values of a convolution's state [1,K-1,mixed] and of n new tokens [size,mixed].
func behind(state, fresh *tensor.Tensor, n int) *tensor.Tensor {
	keep, w := state.Dim(1), state.Dim(2)
	all := append(slices.Clone(state.Data), fresh.Data[:n*w]...)
	return &tensor.Tensor{Shape: state.Shape, Data: all[len(all)-keep*w:]}
}

// inputs are embeddings, masks and angles of the tokens from to to, padded to size.
func (t *text) inputs(row textenc.Row, places [][]int, from, to, size int) ([]family.Value, error) {
	n, past := to-from, t.cache.Tokens
	part := textenc.Row{IDs: slices.Clone(row.IDs[from:to]), Vectors: map[int][]float32{}}
	for at, v := range row.Vectors {
		if at >= from && at < to {
			part.Vectors[at-from] = v
		}
	}
	for len(part.IDs) < size {
		part.IDs = append(part.IDs, 0)
	}
	src, err := t.run.Patched(t.src)
	if err != nil {
		return nil, err
	}
	scope := weights.NewScope(src)
	words := scope.Weight(table, t.Vocab, t.Config.Width)
	if err := scope.Err(); err != nil {
		return nil, err
	}
	embeds, err := textenc.Embed([]textenc.Row{part}, words.Entry)
	if err != nil {
		return nil, err
	}
	real, hidden := tensor.New(1, size, 1), tensor.New(1, 1, size, past+size)
	mask := slices.Concat(t.mask, row.Mask[from:to])
	for q := range size {
		if q < n {
			real.Data[q] = 1
		}
		line := hidden.Data[q*(past+size) : (q+1)*(past+size)]
		for k := range line {
			if k > past+q {
				line[k]++
			}
			if t.masked && k < len(mask) && mask[k] == 0 {
				line[k]++
			}
		}
	}
	return append([]family.Value{
		family.Floats(inEmbeds, embeds), family.Floats(inReal, real), family.Floats(inHidden, hidden), family.Ints(inLast, []int64{int64(n - 1)}, 1),
	}, t.angles(places, from, to, size)...), nil
}

// memory is the bytes of activations for a piece of the given number of tokens after past ones.
func (c Config) memory(size, past int) int64 {
	linear := 6*c.mixed() + 8*c.ValueHeads*(c.KeyDim+c.ValueDim+size)
	return int64(size)*int64(4*(3*c.MLP+4*c.Width+linear+6*c.Heads*c.HeadDim)+12*c.Heads*(past+size)) + 12*int64(c.ValueHeads)*int64(c.KeyDim*c.ValueDim) + 8*int64(c.Vocab)
}

// heads are the places where files keep an output layer of its own.
var heads = []string{"model.lm_head", "lm_head"}

// untied are the models with an output layer other than the token table.
var untied = []string{"qwen35_9b", "qwen35_27b"}

// head is the name of the output layer.
func (e *Encoder) head() string {
	for _, name := range heads {
		if _, ok := e.src.Lookup(name + ".weight"); ok {
			return name
		}
	}
	return "model.embed_tokens"
}

// CanGenerate implements family.Generator.
func (e *Encoder) CanGenerate() error {
	if slices.Contains(untied, e.Config.Key) && !slices.Contains(heads, e.head()) {
		return fmt.Errorf("generating text: %s lacks the model's output layer (lm_head.weight); use a file of the whole language model", e.src.Path())
	}
	return nil
}

// CacheBytes implements family.Generator.
func (e *Encoder) CacheBytes(tokens int) int64 { return decoder.Bytes(tokens, e.cacheWidths()...) }

// Generate implements family.Generator. Images count as text in positions, as in upstream.
func (e *Encoder) Generate(ctx context.Context, run family.Runner, tokens tokenizer.Tokens, o family.GenerateOptions) ([]int32, error) {
	if err := e.CanGenerate(); err != nil {
		return nil, err
	}
	if err := decoder.One(tokens); err != nil {
		return nil, err
	}
	tokens, err := e.splice(ctx, run, tokens, nil)
	if err != nil {
		return nil, err
	}
	if o.Stop == nil {
		o.Stop = stops
	}
	row := textenc.Resolve(tokens[0], e.Config.Width, special)
	t := (&call{Encoder: e, run: run, layer: -1}).begin(o.Cached)
	return decoder.Continue(ctx, row, o, func(ctx context.Context, row textenc.Row, _ bool) ([]float32, error) {
		n, first := len(row.IDs), t.cache.Tokens
		places := [][]int{make([]int, n)}
		for i := range n {
			places[0][i] = first + i
		}
		var logits *tensor.Tensor
		for from := 0; from < n; from += piece {
			var err error
			if logits, err = t.read(ctx, row, places, from, min(from+piece, n), outLogits); err != nil {
				return nil, fmt.Errorf("generating text: %w", err)
			}
		}
		return logits.Data, nil
	})
}

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
