package textenc

import "comfygo/engine/tokenizer"

// Row is one row of tokens as a network's first layer reads it.
type Row struct {
	// IDs are the token ids; at the positions in Vectors the id is 0 and means nothing.
	IDs []int64
	// Vectors holds the embedding vectors by their position in the row.
	Vectors map[int][]float32
	// Mask is 1 up to and including the first end token and at embedding vectors, 0 after it and at padding on the left. For a
	// network without an end token it is 0 from the first padding token on.
	Mask []int64
	// Last is the position of the token that the pooled output is read at: the number of ones in Mask, less one.
	Last int
	// Dropped counts the vectors left out because their width is not the network's.
	Dropped int
}

// Resolve lays out one row of tokens for a network of the given width. A vector of another width is left out and a
// padding token added at the end for it. Upstream: SDClipModel.process_tokens.
func Resolve(tokens []tokenizer.Token, width int, empty Empty) Row {
	r := Row{IDs: make([]int64, 0, len(tokens)), Mask: make([]int64, 0, len(tokens))}
	ones := 0
	add := func(id int64, mask int64) {
		r.IDs = append(r.IDs, id)
		r.Mask = append(r.Mask, mask)
		ones += int(mask)
	}
	m := masker{empty: empty}
	for i, t := range tokens {
		switch {
		case t.Embedding == nil:
			add(int64(t.ID), m.next(t.ID, i == 0))
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

// masker decides which tokens of a row count.
type masker struct {
	empty       Empty
	left, ended bool // inside padding on the left; after the end
}

func (m *masker) next(id int32, first bool) int64 {
	m.left = first && id == m.empty.Pad || m.left && id == m.empty.Pad
	if m.left || m.ended {
		return 0
	}
	end := m.empty.End
	if end == tokenizer.None {
		end = m.empty.Pad
	}
	if id != end {
		return 1
	}
	m.ended = true
	if m.empty.End == tokenizer.None {
		return 0
	}
	return 1
}
