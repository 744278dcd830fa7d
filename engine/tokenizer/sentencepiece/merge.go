package sentencepiece

import (
	"container/heap"
	"unicode/utf8"
)

// mergePieces divides text into characters (and user-defined pieces) and joins neighbours whose text is a piece: the
// greatest score first, leftmost among equals.
func (p *Processor) mergePieces(text string) []segment {
	m := merger{p: p, text: text, halves: map[string]int{}}
	for at := 0; at < len(text); {
		n, _, user := p.user.Longest(text[at:])
		if !user {
			_, n = utf8.DecodeRuneInString(text[at:])
		}
		i := len(m.symbols)
		m.symbols = append(m.symbols, symbol{from: at, to: at + n, prev: i - 1, next: i + 1, fixed: user})
		at += n
	}
	for i := range len(m.symbols) - 1 {
		m.offer(i, i+1)
	}
	for len(m.queue) > 0 {
		m.merge(heap.Pop(&m.queue).(pair))
	}
	var out []segment
	for i := 0; i < len(m.symbols); i = m.symbols[i].next {
		out = m.resegment(out, text[m.symbols[i].from:m.symbols[i].to])
	}
	return out
}

// merger is a text under merging.
type merger struct {
	p       *Processor
	text    string
	symbols []symbol
	queue   pairQueue
	// halves gives, for each unused piece that was formed, the length of its left half.
	halves map[string]int
}

// symbol is text[from:to], linked to its neighbours by index. A fixed symbol is never merged.
type symbol struct {
	from, to, prev, next int
	fixed                bool
}

// pair is a possible merge of two symbols into size bytes.
type pair struct {
	left, right, size int
	score             float32
}

// offer queues the merge of two neighbouring symbols, if their text is a piece.
func (m *merger) offer(left, right int) {
	if left < 0 || right >= len(m.symbols) || m.symbols[left].fixed || m.symbols[right].fixed {
		return
	}
	from, to := m.symbols[left].from, m.symbols[right].to
	id, ok := m.p.lookup[m.text[from:to]]
	if !ok {
		return
	}
	piece := m.p.file.pieces[id]
	heap.Push(&m.queue, pair{left: left, right: right, size: to - from, score: piece.score})
	if piece.kind == unusedPiece {
		m.halves[piece.text] = m.symbols[left].to - from
	}
}

// merge applies a pair, unless one of its symbols has changed since it was queued.
func (m *merger) merge(p pair) {
	l, r := &m.symbols[p.left], &m.symbols[p.right]
	if l.to == l.from || r.to == r.from || l.to-l.from+r.to-r.from != p.size {
		return
	}
	l.to = r.to
	l.next = r.next
	if r.next < len(m.symbols) {
		m.symbols[r.next].prev = p.left
	}
	r.from = r.to
	m.offer(l.prev, p.left)
	m.offer(p.left, l.next)
}

// resegment appends the piece of text, or the pieces of its halves where the piece is one that must not come out.
func (m *merger) resegment(out []segment, text string) []segment {
	id, ok := m.p.ID(text)
	if !ok {
		id = m.p.unknown
	}
	if n, split := m.halves[text]; split && ok && m.p.file.pieces[id].kind == unusedPiece {
		return m.resegment(m.resegment(out, text[:n]), text[n:])
	}
	return append(out, segment{text: text, id: id})
}

type pairQueue []pair

func (q pairQueue) Len() int { return len(q) }
func (q pairQueue) Less(i, j int) bool {
	return q[i].score > q[j].score || q[i].score == q[j].score && q[i].left < q[j].left
}
func (q pairQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

// Push implements heap.Interface.
func (q *pairQueue) Push(x any) { *q = append(*q, x.(pair)) }

// Pop implements heap.Interface.
func (q *pairQueue) Pop() any {
	old := *q
	x := old[len(old)-1]
	*q = old[:len(old)-1]
	return x
}
