// Package bpe merges token sequences by a ranked merge list (byte pair encoding: Sennrich et al., "Neural Machine
// Translation of Rare Words with Subword Units").
//
// It knows token ids only: no text, no vocabulary file.
package bpe

// Merges maps pairs of neighbouring tokens to their merge.
type Merges map[uint64]Merge

// Merge is the result of merging a pair.
type Merge struct {
	// Rank orders the merges: the lowest rank in a sequence is applied first.
	Rank int32
	// ID is the merged token.
	ID int32
}

// New returns an empty merge list with room for n merges.
func New(n int) Merges { return make(Merges, n) }

func key(left, right int32) uint64 { return uint64(uint32(left))<<32 | uint64(uint32(right)) }

// Add sets the merge of a pair. A pair that is added again keeps the later merge, as the tokenizers library does.
func (m Merges) Add(left, right int32, to Merge) { m[key(left, right)] = to }

// Apply merges ids until no pair is in the list: lowest rank first, leftmost among equals. It reuses ids for the
// result. Candidates wait in a heap, so n tokens take n log n steps.
func (m Merges) Apply(ids []int32) []int32 {
	n := len(ids)
	if n < 2 {
		return ids
	}
	c := chain{merges: m, symbols: make([]symbol, n)}
	for i, id := range ids {
		c.symbols[i] = symbol{id: id, prev: i - 1, next: i + 1}
	}
	for i := range n - 1 {
		if cand, ok := c.candidate(i); ok {
			c.queue.push(cand)
		}
	}
	for len(c.queue) > 0 {
		c.merge(c.queue.pop())
	}
	out := ids[:0]
	for i := 0; i < n; i = c.symbols[i].next {
		out = append(out, c.symbols[i].id)
	}
	return out
}

// chain is a sequence under merging.
type chain struct {
	merges  Merges
	symbols []symbol
	queue   mergeQueue
}

// symbol is one token, linked to its neighbours by index.
type symbol struct {
	id         int32
	gone       bool
	prev, next int
}

// candidate is a possible merge of the symbol at index at with its right neighbour, as both were when it was found.
type candidate struct {
	Merge
	left, right int32
	at          int32
}

// candidate returns the merge of symbol i with its right neighbour, if there is one.
func (c *chain) candidate(i int) (candidate, bool) {
	if i < 0 || c.symbols[i].next >= len(c.symbols) {
		return candidate{}, false
	}
	left, right := c.symbols[i].id, c.symbols[c.symbols[i].next].id
	to, ok := c.merges[key(left, right)]
	return candidate{Merge: to, left: left, right: right, at: int32(i)}, ok
}

// merge applies a candidate, unless one of its two symbols has been merged into something else since it was found.
func (c *chain) merge(m candidate) {
	s := c.symbols
	at := int(m.at)
	right := s[at].next
	if s[at].gone || right >= len(s) || s[at].id != m.left || s[right].id != m.right {
		return
	}
	s[at].id = m.ID
	s[at].next = s[right].next
	s[right].gone = true
	if after := s[right].next; after < len(s) {
		s[after].prev = at
	}
	for _, i := range [2]int{s[at].prev, at} {
		if cand, ok := c.candidate(i); ok {
			c.queue.push(cand)
		}
	}
}

// mergeQueue is a binary heap, the candidate to apply first on top. container/heap would allocate for each candidate.
type mergeQueue []candidate

func (q mergeQueue) before(i, j int) bool {
	return q[i].Rank < q[j].Rank || q[i].Rank == q[j].Rank && q[i].at < q[j].at
}

func (q *mergeQueue) push(c candidate) {
	h := append(*q, c)
	*q = h
	for i := len(h) - 1; i > 0 && h.before(i, (i-1)/2); i = (i - 1) / 2 {
		h[i], h[(i-1)/2] = h[(i-1)/2], h[i]
	}
}

func (q *mergeQueue) pop() candidate {
	h := *q
	top, last := h[0], len(h)-1
	h[0] = h[last]
	h = h[:last]
	*q = h
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			return top
		}
		if child+1 < last && h.before(child+1, child) {
			child++
		}
		if !h.before(child, i) {
			return top
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}
