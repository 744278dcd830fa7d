package textenc

import (
	"context"
	"errors"
	"fmt"

	"comfygo/engine/tensor"
	"comfygo/engine/tokenizer"
	"comfygo/engine/weights"
)

// Network is a text network. It knows neither weights nor chunks of a prompt.
type Network interface {
	// Forward encodes n rows of equally many tokens.
	Forward(ctx context.Context, rows []Row) (Output, error)
}

// Output is the output of a network for n rows.
type Output struct {
	// Hidden is [n,tokens,width], or [n,layers,tokens,width] of a network that gives the states of several layers.
	Hidden *tensor.Tensor
	// Pooled is [n,width'], nil for a network without a pooled output.
	Pooled *tensor.Tensor
}

// Settings are an encoder's rules around its network (upstream: the arguments of SDClipModel).
type Settings struct {
	// Empty holds the special tokens.
	Empty Empty
	// Width is the width of the vectors that represent tokens.
	Width int
	// ZeroMasked sets the hidden states of masked tokens to zero.
	ZeroMasked bool
	// Unended leaves the end token out of the empty prompt that weights are measured from.
	Unended bool
}

// Result is the encoding of a prompt.
type Result struct {
	// Hidden is [1,chunks*tokens,width] or [1,layers,chunks*tokens,width]; Pooled the first chunk's [1,width'] or nil.
	Hidden, Pooled *tensor.Tensor
	// Mask is the attention mask of the chunks, [1,chunks*tokens].
	Mask *tensor.Tensor
	// Dropped counts embedding vectors that were left out because of their width.
	Dropped int
}

// Encode encodes the chunks of a prompt and joins them along the token axis. When any weight differs from 1, the empty
// prompt is encoded too, as the last row, and each weighted token becomes (z - empty)*weight + empty. Upstream:
// ClipTokenWeightEncoder.encode_token_weights and SDClipModel.forward.
//
// A prompt without any chunk, which is not nil, is encoded as an empty one without padding.
func Encode(ctx context.Context, n Network, tokens tokenizer.Tokens, s Settings) (Result, error) {
	if tokens != nil && len(tokens) == 0 {
		tokens = tokenizer.Tokens{s.empty().row(0)}
	}
	rows, err := s.rows(tokens)
	if err != nil {
		return Result{}, err
	}
	out, err := n.Forward(ctx, rows)
	if err != nil {
		return Result{}, err
	}
	h := out.Hidden
	if h == nil || len(h.Shape) != 3 && len(h.Shape) != 4 || h.Dim(0) != len(rows) || h.Dim(len(h.Shape)-2) != len(rows[0].IDs) {
		return Result{}, fmt.Errorf("encoding a prompt: the text network returned hidden states %v for %d rows of %d tokens", shapeOf(h), len(rows), len(rows[0].IDs))
	}
	weighted := len(rows) > len(tokens)
	if weighted || s.ZeroMasked {
		h = h.Clone()
	}
	if s.ZeroMasked {
		zeroMasked(h, rows)
	}
	if weighted {
		applyWeights(h, tokens)
	}
	r := Result{Hidden: join(h, len(tokens)), Mask: maskOf(rows[:len(tokens)])}
	for _, row := range rows {
		r.Dropped += row.Dropped
	}
	if out.Pooled != nil && out.Pooled.Dim(0) > 0 {
		r.Pooled = out.Pooled.Slice(0, 1)
	}
	return r, nil
}

func shapeOf(t *tensor.Tensor) []int {
	if t == nil {
		return nil
	}
	return t.Shape
}

// empty are the special tokens of the empty prompt that weights are measured from.
func (s Settings) empty() Empty {
	if s.Unended {
		s.Empty.End = tokenizer.None
	}
	return s.Empty
}

// rows resolves the chunks, and the empty prompt after them where weights need it.
func (s Settings) rows(tokens tokenizer.Tokens) ([]Row, error) {
	if len(tokens) == 0 {
		return nil, errors.New("encoding a prompt: it has no chunks")
	}
	chunks := append(tokenizer.Tokens(nil), tokens...)
	if hasWeights(tokens) {
		longest := 0
		for _, chunk := range tokens {
			longest = max(longest, len(chunk))
		}
		chunks = append(chunks, s.empty().row(longest))
	}
	rows := make([]Row, len(chunks))
	for i, chunk := range chunks {
		rows[i] = Resolve(chunk, s.Width, s.Empty)
		if len(rows[i].IDs) != len(rows[0].IDs) {
			return nil, fmt.Errorf("encoding a prompt: its chunks have %d and %d tokens; a text encoder reads chunks of one length, so use a shorter prompt", len(rows[0].IDs), len(rows[i].IDs))
		}
	}
	if len(rows[0].IDs) == 0 {
		return nil, errors.New("encoding a prompt: its chunks are empty")
	}
	return rows, nil
}

// zeroMasked sets the states of masked tokens to zero, in place.
func zeroMasked(h *tensor.Tensor, rows []Row) {
	t, w := h.Dim(len(h.Shape)-2), h.Dim(len(h.Shape)-1)
	for k, row := range rows {
		states := h.Index(k).Data
		for at := 0; at < len(states); at += w {
			if row.Mask[at/w%t] == 0 {
				clear(states[at : at+w])
			}
		}
	}
}

// join puts the first n rows of states one after the other: [n,…,tokens,width] to [1,…,n*tokens,width].
func join(h *tensor.Tensor, n int) *tensor.Tensor {
	rank := len(h.Shape)
	shape := append([]int(nil), h.Shape...)
	shape[0], shape[rank-2] = 1, n*h.Shape[rank-2]
	if rank == 3 || n == 1 {
		return &tensor.Tensor{Shape: shape, Data: h.Slice(0, n).Data}
	}
	out := tensor.New(shape...)
	part := h.Shape[rank-2] * h.Shape[rank-1]
	for k := range n {
		row := h.Index(k).Data
		for l := range h.Shape[1] {
			copy(out.Data[(l*n+k)*part:], row[l*part:(l+1)*part])
		}
	}
	return out
}

func maskOf(rows []Row) *tensor.Tensor {
	var data []float32
	for _, row := range rows {
		for _, m := range row.Mask {
			data = append(data, float32(m))
		}
	}
	return &tensor.Tensor{Shape: []int{1, len(data)}, Data: data}
}

// Embed looks the tokens of rows up in a table [vocabulary,width]: [n,tokens,width]. Only the rows of the table that the
// tokens name are read.
func Embed(rows []Row, table weights.Entry) (*tensor.Tensor, error) {
	if len(table.Shape) != 2 || len(rows) == 0 {
		return nil, fmt.Errorf("embedding %d rows of tokens with the table %v: wanted a table of two axes", len(rows), table)
	}
	vocab, w, n := table.Shape[0], table.Shape[1], len(rows[0].IDs)
	out := tensor.New(len(rows), n, w)
	for i, r := range rows {
		if len(r.IDs) != n {
			return nil, fmt.Errorf("embedding rows of %d and %d tokens: wanted one length", n, len(r.IDs))
		}
		for j, id := range r.IDs {
			dst := out.Data[(i*n+j)*w:][:w]
			if v, ok := r.Vectors[j]; ok {
				copy(dst, v)
				continue
			}
			if id < 0 || id >= int64(vocab) {
				return nil, fmt.Errorf("token %d is not in the text encoder's table of %d", id, vocab)
			}
			if err := weights.Range(dst, table, int(id)*w); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// ScaleTokens multiplies the embeddings that Embed looked up, but not vectors that replace tokens.
func ScaleTokens(x *tensor.Tensor, rows []Row, by float32) {
	n, w := x.Dim(1), x.Dim(2)
	for i, r := range rows {
		for j := range n {
			if _, ok := r.Vectors[j]; ok {
				continue
			}
			of := x.Data[(i*n+j)*w:][:w]
			for k := range of {
				of[k] *= by
			}
		}
	}
}
