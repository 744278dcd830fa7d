package textenc

import "comfygo/engine/tokenizer"

// Row is one row of tokens as a network's first layer reads it.
type Row struct {
	// IDs are the token numbers; at the places in Vectors the number is 0 and means nothing.
	IDs []int64
	// Vectors holds the embedded vectors by their place in the row.
	Vectors map[int][]float32
	// Mask is 1 up to and including the first end mark and at embedded vectors, 0 behind it.
	Mask []int64
	// Last is the place of the token that the pooled output is read at: the number of ones in Mask, less one.
	Last int
	// Dropped counts the vectors left out because their width is not the network's.
	Dropped int
}

// Resolve lays out one row of tokens for a network of the given width. A vector of another width is left out and a
// padding token added at the end for it. Upstream: SDClipModel.process_tokens.
func Resolve(tokens []tokenizer.Token, width int, empty Empty) Row {
	r := Row{IDs: make([]int64, 0, len(tokens)), Mask: make([]int64, 0, len(tokens))}
	ended, ones := false, 0
	add := func(id int64, mask int64) {
		r.IDs = append(r.IDs, id)
		r.Mask = append(r.Mask, mask)
		ones += int(mask)
	}
	for _, t := range tokens {
		switch {
		case t.Embedding == nil && ended:
			add(int64(t.ID), 0)
		case t.Embedding == nil:
			add(int64(t.ID), 1)
			ended = t.ID == empty.End
		case len(t.Embedding) != width:
			r.Dropped++
		default:
			if r.Vectors == nil {
				r.Vectors = map[int][]float32{}
			}
			r.Vectors[len(r.IDs)] = t.Embedding
			add(0, 1)
		}
	}
	for range r.Dropped {
		add(int64(empty.Pad), 0)
	}
	r.Last = max(ones-1, 0)
	return r
}
