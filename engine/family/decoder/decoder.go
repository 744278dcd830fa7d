// Package decoder is what language models that continue with a text share: the cache of keys and values, the loop over tokens, and
// images among a prompt's tokens.
package decoder

import (
	"context"
	"fmt"
	"slices"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/engine/textenc"
	"comfygo/engine/tokenizer"
)

// Read reads tokens after those that were read before, and returns the logits of what follows. first marks the prompt.
type Read func(ctx context.Context, row textenc.Row, first bool) ([]float32, error)

// Continue returns the tokens that follow a prompt, up to and including one that ends the text.
func Continue(ctx context.Context, prompt textenc.Row, o family.GenerateOptions, read Read) ([]int32, error) {
	logits, err := read(ctx, prompt, true)
	var out []int32
	for err == nil {
		var id int32
		if id, err = o.Next(logits); err != nil {
			break
		}
		out = append(out, id)
		if o.Progress != nil {
			o.Progress(len(out))
		}
		if len(out) >= o.MaxLength || slices.Contains(o.Stop, id) {
			return out, nil
		}
		if err = context.Cause(ctx); err != nil {
			break
		}
		logits, err = read(ctx, textenc.Row{IDs: []int64{int64(id)}, Mask: []int64{1}}, false)
	}
	return nil, err
}

// One fails for a prompt that is not one chunk of tokens, as generation needs it.
func One(tokens tokenizer.Tokens) error {
	if len(tokens) != 1 || len(tokens[0]) == 0 {
		return fmt.Errorf("generating text: the prompt has %d chunks of tokens, wanted one that is not empty", len(tokens))
	}
	return nil
}

// See returns the vectors [n,width] that replace a token of an image, which is at a place of its row.
type See func(t tokenizer.Token, at int) (*tensor.Tensor, error)

// Splice puts the vectors of images and sounds in place of their tokens.
func Splice(tokens tokenizer.Tokens, see See) (tokenizer.Tokens, error) {
	out := make(tokenizer.Tokens, len(tokens))
	for i, row := range tokens {
		for _, t := range row {
			if t.Image == nil && t.Audio == nil {
				out[i] = append(out[i], t)
				continue
			}
			if len(tokens) > 1 {
				return nil, fmt.Errorf("encoding a prompt with an image: the prompt is too long for one chunk")
			}
			v, err := see(t, len(out[i]))
			if err != nil {
				return nil, err
			}
			for k := range v.Dim(0) {
				out[i] = append(out[i], tokenizer.Token{Weight: t.Weight, WordID: t.WordID, Embedding: v.Index(k).Data})
			}
		}
	}
	return out, nil
}

// Cache holds what layers keep of the tokens that were read, one row a token in each list, so that it grows at its end and is handed to the
// network without being copied.
type Cache struct {
	// Tokens is the number of tokens in it.
	Tokens int
	run    family.Runner
	widths []int
	// cached, when set, is called with the bytes of the rows.
	cached func(bytes int64)
	rows   [][]float32
}

// NewCache returns an empty cache of lists with rows of the given widths.
func NewCache(run family.Runner, cached func(bytes int64), widths ...int) *Cache {
	return &Cache{run: run, widths: widths, cached: cached, rows: make([][]float32, len(widths))}
}

// Bytes returns the memory of the rows for the given number of tokens.
func Bytes(tokens int, widths ...int) int64 {
	sum := int64(0)
	for _, w := range widths {
		sum += int64(w)
	}
	return 4 * sum * int64(tokens)
}

// step is the least number of tokens that a cache grows by.
const step = 256

// Reserve makes room for n more tokens and grows the capacity by at least half.
func (c *Cache) Reserve(n int) error {
	have := cap(c.rows[0]) / c.widths[0]
	if c.Tokens+n <= have {
		return nil
	}
	room := max(c.Tokens+n, have+have/2, have+step)
	size := Bytes(room, c.widths...)
	if err := c.run.Check("keeping keys and values of tokens", size); err != nil {
		return err
	}
	if c.cached != nil {
		c.cached(size)
	}
	for i, r := range c.rows {
		grown := make([]float32, len(r), room*c.widths[i])
		copy(grown, r)
		c.rows[i] = grown
	}
	return nil
}

// Inputs are the lists as inputs [1,tokens,width] of a graph, by their names.
func (c *Cache) Inputs(name func(i int) string) []family.Value {
	out := make([]family.Value, len(c.rows))
	for i, r := range c.rows {
		out[i] = family.Floats(name(i), &tensor.Tensor{Shape: []int{1, c.Tokens, c.widths[i]}, Data: r})
	}
	return out
}

// Add puts the rows of n tokens at the end, those of each list.
func (c *Cache) Add(n int, rows func(i int) []float32) {
	for i := range c.rows {
		c.rows[i] = append(c.rows[i], rows(i)...)
	}
	c.Tokens += n
}
