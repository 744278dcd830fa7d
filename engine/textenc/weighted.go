// Package textenc holds what surrounds a text encoder's network: prompt weights, chunks, masks and embedding vectors.
//
// It knows tokens, tensors and weights. It knows no model and no runtime: the network is what the caller brings.
package textenc

import (
	"context"
	"errors"
	"fmt"

	"comfygo/engine/tensor"
	"comfygo/engine/tokenizer"
)

// Encoder is a text network.
type Encoder interface {
	// Forward encodes n rows of equally many tokens: cond is [n,tokens,width]; pooled is [n,width'] or nil when the
	// network has no pooled output.
	Forward(ctx context.Context, rows [][]tokenizer.Token) (cond, pooled *tensor.Tensor, err error)
}

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

// EncodeWeighted encodes the chunks of a prompt and joins them along the token axis: cond is [1,chunks*tokens,width],
// pooled the first chunk's [1,width'] or nil. When any weight differs from 1, the empty prompt is encoded too, as the last
// row, and each weighted token becomes (z - empty)*weight + empty. Upstream: ClipTokenWeightEncoder.encode_token_weights.
func EncodeWeighted(ctx context.Context, enc Encoder, tokens tokenizer.Tokens, empty Empty) (cond, pooled *tensor.Tensor, err error) {
	if len(tokens) == 0 {
		return nil, nil, errors.New("encoding a prompt: it has no chunks")
	}
	rows := append([][]tokenizer.Token(nil), tokens...)
	longest := 0
	for _, chunk := range tokens {
		longest = max(longest, len(chunk))
	}
	weighted := hasWeights(tokens)
	if weighted {
		rows = append(rows, empty.row(longest))
	}
	out, pool, err := enc.Forward(ctx, rows)
	if err != nil {
		return nil, nil, err
	}
	if len(out.Shape) != 3 || out.Dim(0) != len(rows) || out.Dim(1) < longest {
		return nil, nil, fmt.Errorf("encoding a prompt: the text model gave %v for %d rows of %d tokens", out.Shape, len(rows), longest)
	}
	if weighted {
		out = out.Clone()
		applyWeights(out, tokens)
	}
	n, width := out.Dim(1), out.Dim(2)
	cond, err = out.Slice(0, len(tokens)).Reshape(1, len(tokens)*n, width)
	if err != nil {
		return nil, nil, fmt.Errorf("joining a prompt's chunks: %w", err)
	}
	if pool != nil && pool.Dim(0) > 0 {
		pooled = pool.Slice(0, 1)
	}
	return cond, pooled, nil
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
// of out, in place. Upstream counts tokens along the second axis, also where that is the layers.
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
