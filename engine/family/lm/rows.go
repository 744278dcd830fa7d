package lm

import (
	"context"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/family/decoder"
	"comfygo/engine/tensor"
	"comfygo/engine/textenc"
)

var _ family.RowGenerator = (*Encoder)(nil)

// GenerateRows implements family.RowGenerator. The output layer is the token table, as upstream has it (text_encoders/ace15.py).
func (e *Encoder) GenerateRows(ctx context.Context, run family.Runner, prompts [][]int32, o family.RowOptions) ([]int32, error) {
	rows := make([]*continuation, len(prompts))
	taken := make([]int64, len(prompts))
	logits := make([][]float32, len(prompts))
	var err error
	for i, p := range prompts {
		if len(p) == 0 || len(p) != len(prompts[0]) {
			return nil, fmt.Errorf("generating tokens: the prompts have %d and %d tokens, wanted as many and at least one", len(prompts[0]), len(p))
		}
		cached := func(bytes int64) {
			if taken[i] = bytes; o.Cached != nil {
				o.Cached(sum(taken))
			}
		}
		row := textenc.Row{IDs: make([]int64, len(p)), Mask: make([]int64, len(p))}
		padded := 0
		for k, id := range p {
			if row.IDs[k] = int64(id); id == o.Padding && padded == k {
				padded++
				continue
			}
			row.Mask[k] = 1
		}
		rows[i] = &continuation{call: &call{Encoder: e, run: run}, cache: decoder.NewCache(run, cached, e.cacheWidths()...), padded: padded}
		if logits[i], err = rows[i].read(ctx, row, inOrder(0, len(p))); err != nil {
			return nil, err
		}
	}
	var out []int32
	for len(out) < o.Count {
		id, err := o.Next(logits)
		if err != nil {
			return nil, err
		}
		if out = append(out, id); o.Progress != nil {
			o.Progress(len(out))
		}
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		for i, r := range rows {
			if len(out) == o.Count {
				break
			}
			if logits[i], err = r.read(ctx, textenc.Row{IDs: []int64{int64(id)}, Mask: []int64{1}}, inOrder(r.next, 1)); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func sum(list []int64) int64 {
	n := int64(0)
	for _, v := range list {
		n += v
	}
	return n
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
