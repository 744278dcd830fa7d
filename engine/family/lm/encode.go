package lm

import (
	"context"
	"errors"
	"math"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/engine/textenc"
	"comfygo/engine/tokenizer"
	"comfygo/engine/weights"
)

// Encode implements family.TextEncoder. There is no pooled output.
func (e *Encoder) Encode(ctx context.Context, run family.Runner, tokens tokenizer.Tokens, o family.EncodeOptions) (family.Encoding, error) {
	v := variant{inner: -1, norm: !o.RawHidden, layers: o.Layers}
	if o.AllLayers {
		v.layers = nil
		for i := range e.Layers + 1 {
			v.layers = append(v.layers, i)
		}
	}
	for _, layer := range []int{o.Layer, o.Chosen} {
		if layer < 0 && -layer <= e.Layers && v.layers == nil {
			v.inner = e.Layers + layer
		}
	}
	tokens, images, err := e.withImages(ctx, run, tokens)
	if err != nil {
		return family.Encoding{}, err
	}
	return o.Encode(ctx, &call{Encoder: e, run: run, variant: v, masked: o.Masked, images: images}, tokens, special(e.Config.Key), e.Config.Width)
}

// call is one use of the network, for textenc.
type call struct {
	*Encoder
	run     family.Runner
	variant variant
	masked  bool
	// images are where a row's images stand.
	images []span
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
	v := c.variant
	v.slides = c.window > 0 && n > c.window
	v.deep = len(c.images) > 0 && c.images[0].deep != nil
	in := append(c.places(amongImages(n, c.images, rows[0].Mask, c.masked)), family.Floats(inEmbeds, embeds), family.Floats(inHidden, hidden(rows, c.masked)))
	if v.slides {
		in = append(in, family.Floats(inSlide, outside(n, c.window)))
	}
	if v.deep {
		in = append(in, c.deepInputs(len(rows), n, c.images)...)
	}
	outputs := []string{outLast}
	switch {
	case v.layers != nil:
		outputs = nil
		for _, i := range v.layers {
			outputs = append(outputs, outLayer(i))
		}
	case v.inner >= 0:
		outputs = []string{outInner}
	}
	res, err := c.run.Run(ctx, c.graph(v), in, outputs...)
	if err != nil {
		return textenc.Output{}, err
	}
	if v.layers == nil {
		return textenc.Output{Hidden: res[outputs[0]]}, nil
	}
	return textenc.Output{Hidden: stack(res, outputs)}, nil
}

// places are the inputs of rotary positions.
func (c *call) places(p positions) []family.Value {
	var in []family.Value
	for kind := range c.theta {
		cos, sin := c.angles(p, kind)
		shape := []int{1, len(p[0]), c.HeadDim / 2}
		in = append(in, family.Floats(inCos(kind), &tensor.Tensor{Shape: shape, Data: cos}), family.Floats(inSin(kind), &tensor.Tensor{Shape: shape, Data: sin}))
	}
	return in
}

// embed looks tokens up, with the adapters of the table. Gemma scales the table, but not vectors that replace tokens.
func (c *call) embed(rows []textenc.Row) (*tensor.Tensor, error) {
	src, err := c.run.Patched(c.src)
	if err != nil {
		return nil, err
	}
	scope := weights.NewScope(src)
	words := scope.Weight(table, c.Vocab, c.Config.Width)
	if err := scope.Err(); err != nil {
		return nil, err
	}
	x, err := textenc.Embed(rows, words.Entry)
	if err != nil || !c.gemma {
		return x, err
	}
	textenc.ScaleTokens(x, rows, float32(math.Sqrt(float64(c.Config.Width))))
	return x, nil
}

// memory is the bytes of activations for n rows of t tokens.
func (c Config) memory(n, t int) int64 {
	return int64(n) * int64(t) * int64(4*(3*c.MLP+4*c.Heads*c.HeadDim+4*c.Width)+12*c.Heads*t)
}

// hidden counts the reasons that hide a key from a query, [rows,1,tokens,tokens]: once when it comes later, once when it is
// padding.
func hidden(rows []textenc.Row, masked bool) *tensor.Tensor {
	n := len(rows[0].IDs)
	out := tensor.New(len(rows), 1, n, n)
	for i, r := range rows {
		for q := range n {
			line := out.Data[(i*n+q)*n:][:n]
			for k := range line {
				if k > q {
					line[k]++
				}
				if masked && r.Mask[k] == 0 {
					line[k]++
				}
			}
		}
	}
	return out
}

// outside marks keys that lie before the window of a query, [1,1,tokens,tokens].
func outside(n, window int) *tensor.Tensor {
	out := tensor.New(1, 1, n, n)
	for q := range n {
		for k := range max(q-window+1, 0) {
			out.Data[q*n+k] = 4
		}
	}
	return out
}

// stack puts outputs [rows,tokens,width] side by side: [rows,outputs,tokens,width].
func stack(res map[string]*tensor.Tensor, names []string) *tensor.Tensor {
	first := res[names[0]]
	rows, size := first.Dim(0), first.Dim(1)*first.Dim(2)
	out := tensor.New(rows, len(names), first.Dim(1), first.Dim(2))
	for l, name := range names {
		for r := range rows {
			copy(out.Data[(r*len(names)+l)*size:], res[name].Data[r*size:(r+1)*size])
		}
	}
	return out
}

// errTokens is what a module without tokens is reported as.
var errTokens = errors.New("running the module: it takes input_ids and an intermediate_output that it has")
