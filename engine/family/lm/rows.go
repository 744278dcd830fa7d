package lm

import (
	"context"
	"fmt"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/decoder"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/textenc"
	"comfygo/engine/weights"
)

var _ family.RowGenerator = (*Encoder)(nil)

// GenerateRows implements family.RowGenerator. The rows go through the network together, so that its weights are read once for all of
// them.
func (e *Encoder) GenerateRows(ctx context.Context, run family.Runner, prompts [][]int32, o family.RowOptions) ([]int32, error) {
	if o.From < 0 || o.To <= o.From || o.To > e.Vocab {
		return nil, fmt.Errorf("generating tokens: %s knows %d tokens, wanted %d at least", e.src.Path(), e.Vocab, o.To)
	}
	w := &rowsOf{call: &call{Encoder: e, run: run}, options: o}
	var rows []textenc.Row
	taken := make([]int64, len(prompts))
	for i, p := range prompts {
		if len(p) == 0 || len(p) != len(prompts[0]) {
			return nil, fmt.Errorf("generating tokens: the prompts have %d and %d tokens, wanted as many and at least one", len(prompts[0]), len(p))
		}
		row, padded := padding(p, o.Padding)
		rows, w.padded = append(rows, row), append(w.padded, padded)
		w.caches = append(w.caches, decoder.NewCache(run, func(bytes int64) {
			if taken[i] = bytes; o.Cached != nil {
				o.Cached(sum(taken))
			}
		}, e.cacheWidths()...))
	}
	var out []int32
	for len(out) < o.Count {
		logits, err := w.read(ctx, rows)
		if err != nil {
			return nil, err
		}
		id, err := o.Next(logits, e.Vocab)
		if err != nil {
			return nil, err
		}
		if out = append(out, id); o.Progress != nil {
			o.Progress(len(out))
		}
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		for i := range rows {
			rows[i] = textenc.Row{IDs: []int64{int64(id)}, Mask: []int64{1}}
		}
	}
	return out, nil
}

// padding is a prompt as a row, and the number of tokens before it that hide themselves.
func padding(prompt []int32, pad int32) (textenc.Row, int) {
	row := textenc.Row{IDs: make([]int64, len(prompt)), Mask: make([]int64, len(prompt))}
	padded := 0
	for k, id := range prompt {
		if row.IDs[k] = int64(id); id == pad && padded == k {
			padded++
			continue
		}
		row.Mask[k] = 1
	}
	return row, padded
}

func sum(list []int64) int64 {
	n := int64(0)
	for _, v := range list {
		n += v
	}
	return n
}

// rowsOf are texts that grow by the same tokens.
type rowsOf struct {
	*call
	options family.RowOptions
	caches  []*decoder.Cache
	// padded are the numbers of tokens before the prompts that hide themselves.
	padded []int
}

// read processes the next tokens of each row, the same number in each, and returns the logits of the following token of each
// row.
func (w *rowsOf) read(ctx context.Context, rows []textenc.Row) ([][]float32, error) {
	embeds, err := w.embed(rows)
	if err != nil {
		return nil, err
	}
	out, err := w.feed(ctx, embeds)
	if err != nil {
		return nil, err
	}
	logits := make([][]float32, len(rows))
	for r := range rows {
		logits[r] = out.Index(r).Data
	}
	return logits, nil
}

// feed processes vectors [rows,tokens,width] of the next tokens, and returns what the network makes of the last one: [rows,values].
func (w *rowsOf) feed(ctx context.Context, embeds *tensor.Tensor) (*tensor.Tensor, error) {
	count, n, past := embeds.Dim(0), embeds.Dim(1), w.caches[0].Tokens
	masks := tensor.New(count, 1, n, past+n)
	in := append(w.places(inOrder(past, n)), family.Floats(inEmbeds, embeds), family.Floats(inHidden, masks))
	for r, c := range w.caches {
		if err := c.Reserve(n); err != nil {
			return nil, err
		}
		copy(masks.Index(r).Data, hide(later(past, n), w.padded[r]).Data)
		in = append(in, c.Inputs(func(i int) string { return w.inPast(r, i) })...)
	}
	if err := w.run.Check("generating tokens", w.memory(count, n)+4*int64(count)*int64(w.Heads)*int64(n)*int64(past)); err != nil {
		return nil, err
	}
	res, err := w.run.Run(ctx, w.graph(count), in, outLogits, outCache)
	if err != nil {
		return nil, fmt.Errorf("generating tokens: %w", err)
	}
	for r, c := range w.caches {
		c.Add(n, func(i int) []float32 { return res[outCache].Index(i*count + r).Data })
	}
	return res[outLogits], nil
}

// Steps reads several texts token by token as vectors, for models that make their own of the states.
type Steps struct{ rows *rowsOf }

// Steps begins count texts. cached, when set, is called with the bytes of keys and values when they grow.
func (e *Encoder) Steps(run family.Runner, count int, cached func(bytes int64)) *Steps {
	w := &rowsOf{call: &call{Encoder: e, run: run}, padded: make([]int, count)}
	taken := make([]int64, count)
	for i := range count {
		w.caches = append(w.caches, decoder.NewCache(run, func(bytes int64) {
			if taken[i] = bytes; cached != nil {
				cached(sum(taken))
			}
		}, e.cacheWidths()...))
	}
	return &Steps{w}
}

// Read reads vectors [texts,tokens,width] of the next tokens and returns the states of the last one after the norm, [texts,width].
func (s *Steps) Read(ctx context.Context, embeds *tensor.Tensor) (*tensor.Tensor, error) {
	w := s.rows
	if len(embeds.Shape) != 3 || embeds.Dim(0) != len(w.caches) || embeds.Dim(1) < 1 || embeds.Dim(2) != w.Config.Width {
		return nil, fmt.Errorf("reading tokens: the vectors have the shape %v, wanted %d texts and %d values a token", embeds.Shape, len(w.caches), w.Config.Width)
	}
	return w.feed(ctx, embeds)
}

// inPast is an input of past keys or values of a row.
func (w *rowsOf) inPast(row, i int) string { return inPast(2*w.Layers*row + i) }

// graph is the graph of the decoder for the given number of rows.
func (w *rowsOf) graph(count int) family.Graph {
	e := w.Encoder
	return family.Graph{
		Part: "clip " + e.Config.Key + " decoder", Variant: family.Digest("rows", count, w.options.From, w.options.To), Steps: true, Streamed: true, Wide: true,
		Build: func(s family.Spec) (*onnx.Graph, error) {
			return s.Build("language model decoder", e.src, func(b *nn.Builder, s *weights.Scope) {
				w.write(&decoderWriter{writer: writer{Builder: b, cfg: e.Config}}, s, count)
			})
		},
	}
}

// write writes the network: inputs as those of decoderWriter.write with rows in place of one, and past keys and values of each row; outputs
// "logits" [rows,To-From], or the states of the last token without such options, and "cache" [2*layers*rows,T,KVHeads*D]. The output layer is the token table, as in upstream.
func (w *rowsOf) write(d *decoderWriter, s *weights.Scope, count int) {
	c := w.Config
	one, rows, t, p := onnx.D(1), onnx.D(count), onnx.Sym("T"), onnx.Sym("P")
	h := d.Cast(d.Input(inEmbeds, dtype.F32, rows, t, onnx.D(c.Width)), d.Target.Compute)
	d.inputsFor(rows, t, p.Plus(t), variant{})
	kept := make([]*onnx.Value, 2*c.Layers)
	m := s.At("model")
	for i := range c.Layers {
		h = d.around(m.At("layers").Index(i), h, func(s *weights.Scope, x *onnx.Value) *onnx.Value {
			q, k, v := d.project(s, x, 0)
			kept[i], kept[c.Layers+i] = d.Cast(k, dtype.F32), d.Cast(v, dtype.F32)
			var parts []*onnx.Value
			for r := range count {
				of := func(x *onnx.Value) *onnx.Value { return d.Slice(x, 0, r, r+1) }
				past := func(at int) *onnx.Value {
					return d.Cast(d.Input(w.inPast(r, at), dtype.F32, one, p, onnx.D(c.kvWidth())), d.Target.Compute)
				}
				keys, values := d.Concat(1, past(i), of(k)), d.Concat(1, past(c.Layers+i), of(v))
				parts = append(parts, d.grouped(of(q), keys, values, of(d.bias[0])))
			}
			return d.Linear(s.At("o_proj"), d.Concat(0, parts...), c.Width)
		})
	}
	d.Output(outCache, d.Concat(0, kept...))
	h = d.norm(m.At("norm"), d.SliceDims(h, 1, t.Minus(one), t))
	n := w.options.To - w.options.From
	if n == 0 {
		d.Output(outLogits, d.Cast(d.Reshape(h, rows, onnx.D(c.Width)), dtype.F32))
		return
	}
	logits := d.LinearRows(m.At("embed_tokens"), h, c.Vocab, w.options.From, n)
	d.Output(outLogits, d.Cast(d.Reshape(logits, rows, onnx.D(n)), dtype.F32))
}

// hide marks the first padded keys once more in a mask [1,1,n,keys].
func hide(mask *tensor.Tensor, padded int) *tensor.Tensor {
	keys := mask.Dim(3)
	for q := range mask.Dim(2) {
		for k := range min(padded, keys) {
			mask.Data[q*keys+k]++
		}
	}
	return mask
}
