// Package unigram segments text by the likeliest sequence of pieces (the unigram language model of SentencePiece), and
// finds the pieces that a text begins with.
package unigram

import (
	"slices"
	"sort"
)

// Prefixes is a set of strings with ids that finds those that a text begins with. It holds them sorted, so that each further
// byte narrows a range: no memory beside the strings themselves.
type Prefixes struct {
	pieces []string
	ids    []int32
	// first[b] is the index of the first piece that begins with byte b or a greater one.
	first [257]int32
}

// NewPrefixes returns the set of pieces; piece i has the id i. Of equal pieces the last counts. Empty pieces and those
// that skip reports are left out; skip may be nil.
func NewPrefixes(pieces []string, skip func(i int) bool) *Prefixes {
	order := make([]int32, 0, len(pieces))
	for i, piece := range pieces {
		if piece != "" && (skip == nil || !skip(i)) {
			order = append(order, int32(i))
		}
	}
	slices.SortFunc(order, func(a, b int32) int {
		if c := cmp(pieces[a], pieces[b]); c != 0 {
			return c
		}
		return int(a - b)
	})
	p := &Prefixes{pieces: make([]string, 0, len(order)), ids: make([]int32, 0, len(order))}
	for _, i := range order {
		if n := len(p.pieces); n > 0 && p.pieces[n-1] == pieces[i] {
			p.ids[n-1] = i
			continue
		}
		p.pieces, p.ids = append(p.pieces, pieces[i]), append(p.ids, i)
	}
	for b := range p.first {
		p.first[b] = int32(sort.Search(len(p.pieces), func(i int) bool { return int(p.pieces[i][0]) >= b }))
	}
	return p
}

func cmp(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// Each calls yield with the length and id of every piece that text begins with, shortest first, until yield returns
// false.
func (p *Prefixes) Each(text string, yield func(n int, id int32) bool) {
	if text == "" {
		return
	}
	lo, hi := int(p.first[text[0]]), int(p.first[int(text[0])+1])
	for depth := 1; lo < hi; depth++ {
		if len(p.pieces[lo]) == depth {
			if !yield(depth, p.ids[lo]) {
				return
			}
			lo++
		}
		if depth == len(text) || lo == hi {
			return
		}
		c := text[depth]
		within := p.pieces[lo:hi]
		from := sort.Search(len(within), func(i int) bool { return within[i][depth] >= c })
		to := from + sort.Search(len(within)-from, func(i int) bool { return within[from+i][depth] > c })
		lo, hi = lo+from, lo+to
	}
}

// Longest returns the longest piece that text begins with.
func (p *Prefixes) Longest(text string) (n int, id int32, ok bool) {
	p.Each(text, func(length int, i int32) bool {
		n, id, ok = length, i, true
		return true
	})
	return n, id, ok
}

// Len returns the number of pieces.
func (p *Prefixes) Len() int { return len(p.pieces) }
