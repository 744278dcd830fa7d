package t5

import (
	"context"
	"fmt"
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/engine/textenc"
	"comfygo/engine/tokenizer"
	"comfygo/engine/weights"
)

func onceWords(key string, src weights.Source) func() (tokenizer.Model, error) {
	return textenc.Once(func() (tokenizer.Model, error) { return wordsIn(key, src) })
}

// Encode implements family.TextEncoder. There is no pooled output.
func (e *Encoder) Encode(ctx context.Context, run family.Runner, tokens tokenizer.Tokens, o family.EncodeOptions) (family.Encoding, error) {
	v := variant{layer: -1, norm: !o.RawHidden, masked: o.Masked}
	for _, layer := range []int{o.Layer, o.Chosen} {
		if layer < 0 && -layer <= e.Layers {
			v.layer = e.Layers + layer
		}
	}
	return o.Encode(ctx, &call{Encoder: e, run: run, variant: v}, tokens, special(e.Config.Key), e.Config.Width)
}

// call is one use of the network, for textenc.
type call struct {
	*Encoder
	run     family.Runner
	variant variant
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
	in := []family.Value{family.Floats(inEmbeds, embeds), family.Ints(inBuckets, buckets(n), n, n)}
	if c.variant.masked {
		in = append(in, family.Floats(inMask, masks(rows)))
	}
	out := outLast
	if c.variant.layer >= 0 {
		out = outHidden
	}
	res, err := c.run.Run(ctx, c.graph(c.variant), in, out)
	return textenc.Output{Hidden: res[out]}, err
}

// embed looks tokens up, with the adapters of the table. Values of narrow types that are not numbers become numbers
// (upstream: t5.py T5.forward).
func (c *call) embed(rows []textenc.Row) (*tensor.Tensor, error) {
	src, err := c.run.Patched(c.src)
	if err != nil {
		return nil, err
	}
	scope := weights.NewScope(src)
	words := scope.Weight(c.tableKey(), c.Vocab, c.Config.Width)
	if err := scope.Err(); err != nil {
		return nil, err
	}
	x, err := textenc.Embed(rows, words.Entry)
	if err != nil {
		return nil, err
	}
	switch words.Entry.DType {
	case dtype.F32, dtype.F16, dtype.BF16:
		return x, nil
	}
	for i, v := range x.Data {
		if f := float64(v); math.IsNaN(f) {
			x.Data[i] = 0
		} else if math.IsInf(f, 0) {
			x.Data[i] = float32(math.Copysign(math.MaxFloat32, f))
		}
	}
	return x, nil
}

// memory is the bytes of activations for n rows of t tokens: the states of the MLP and the products of all heads.
func (c Config) memory(n, t int) int64 {
	return int64(n) * int64(t) * int64(4*(3*c.MLP+6*c.Inner+4*c.Width)+8*c.Heads*t)
}

// masks are the masks of rows, [rows,tokens].
func masks(rows []textenc.Row) *tensor.Tensor {
	out := tensor.New(len(rows), len(rows[0].Mask))
	for i, r := range rows {
		for j, m := range r.Mask {
			out.Data[i*len(r.Mask)+j] = float32(m)
		}
	}
	return out
}

// The figures of relative position biases: half of the buckets are for keys after the query, and of each half one half has a
// bucket for every distance (upstream: t5.py T5Attention._relative_position_bucket).
const (
	positionBuckets = 32
	farthest        = 128
)

// buckets returns the buckets of the positions of keys relative to queries, [tokens,tokens].
func buckets(n int) []int64 {
	const half = positionBuckets / 2
	byDistance := make([]int64, max(n, 1))
	const exact = half / 2
	for d := range byDistance {
		if d < exact {
			byDistance[d] = int64(d)
			continue
		}
		// float32, as upstream computes it: the product is cut, not rounded.
		far := float32(math.Log(float64(float32(d)/exact))) / float32(math.Log(float64(farthest)/exact)) * exact
		byDistance[d] = min(exact+int64(far), half-1)
	}
	out := make([]int64, n*n)
	for q := range n {
		for k := range n {
			if k > q {
				out[q*n+k] = half + byDistance[k-q]
			} else {
				out[q*n+k] = byDistance[q-k]
			}
		}
	}
	return out
}

// errTokens is what a module without tokens is reported as.
func errTokens() error { return fmt.Errorf("running the module: it takes input_ids") }
