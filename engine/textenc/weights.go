// Package textenc holds what surrounds a text encoder's network: prompt weights, chunks, masks and embedding vectors.
//
// It knows tokens, tensors and weights. It knows no model and no runtime: the caller provides the network.
package textenc

import (
	"comfygo/engine/tensor"
	"comfygo/engine/tokenizer"
)

// Empty are the special tokens that an empty prompt of a text encoder consists of. Start and End may be tokenizer.None.
type Empty struct {
	Start, End, Pad int32
}

// CLIPL is the empty prompt of CLIP ViT-L.
var CLIPL = Empty{Start: tokenizer.CLIPStart, End: tokenizer.CLIPEnd, Pad: tokenizer.CLIPEnd}

// row returns the empty prompt at a length of n tokens.
func (e Empty) row(n int) []tokenizer.Token {
	row := make([]tokenizer.Token, 0, n)
	for _, id := range [2]int32{e.Start, e.End} {
		if id != tokenizer.None {
			row = append(row, tokenizer.Token{ID: id, Weight: 1})
		}
	}
	for len(row) < n {
		row = append(row, tokenizer.Token{ID: e.Pad, Weight: 1})
	}
	return row
}

func hasWeights(tokens tokenizer.Tokens) bool {
	for _, chunk := range tokens {
		for _, t := range chunk {
			if t.Weight != 1 {
				return true
			}
		}
	}
	return false
}

// applyWeights moves each weighted token's vector along the line from the empty prompt's vector, which is the last row
// of out, in place. Upstream counts tokens along the second axis, even if that axis is the layers.
func applyWeights(out *tensor.Tensor, tokens tokenizer.Tokens) {
	size := tensor.Count(out.Shape[2:])
	last := out.Index(out.Dim(0) - 1)
	for k, chunk := range tokens {
		row := out.Index(k)
		for j, t := range chunk[:min(len(chunk), out.Dim(1))] {
			if t.Weight == 1 {
				continue
			}
			z, e, w := row.Data[j*size:(j+1)*size], last.Data[j*size:(j+1)*size], float32(t.Weight)
			for i := range z {
				z[i] = float32((z[i]-e[i])*w) + e[i]
			}
		}
	}
}
