package tokenizer

import "container/heap"

// appendWord appends the tokens of one word to ids: its bytes, the last marked as a word's end, joined pair by pair in
// the order of the merge list, leftmost first among equals (Sennrich et al., "Neural Machine Translation of Rare Words
// with Subword Units"). The candidates wait in a heap, so a word of n bytes takes n log n steps however long it is.
func (v *vocab) appendWord(ids []int, word string) []int {
	n := len(word)
	if n == 0 {
		return ids
	}
	chain := make([]symbol, n)
	for i := range n {
		chain[i] = symbol{id: v.byteID[word[i]], prev: i - 1, next: i + 1}
	}
	chain[n-1].id += byteTokens
	var queue mergeQueue
	for i := range n - 1 {
		queue = v.candidate(queue, chain, i)
	}
	heap.Init(&queue)
	for queue.Len() > 0 {
		c := heap.Pop(&queue).(candidate)
		right := chain[c.at].next
		if chain[c.at].gone || right >= n || chain[c.at].id != c.left || chain[right].id != c.right {
			continue // one of the two was merged into something else since
		}
		chain[c.at].id = firstMerge + c.rank
		chain[c.at].next = chain[right].next
		chain[right].gone = true
		if after := chain[right].next; after < n {
			chain[after].prev = c.at
		}
		v.push(&queue, chain, chain[c.at].prev)
		v.push(&queue, chain, c.at)
	}
	for i := 0; i < n; i = chain[i].next {
		ids = append(ids, int(chain[i].id))
	}
	return ids
}

// symbol is one token of a word under merging, linked to its neighbours by index.
type symbol struct {
	id         uint16
	gone       bool
	prev, next int
}

// candidate is a possible merge of the symbol at index at with its right neighbour, as both were when it was found.
type candidate struct {
	rank        uint16
	left, right uint16
	at          int
}

// candidate appends the merge of symbol i with its right neighbour, if there is one.
func (v *vocab) candidate(queue mergeQueue, chain []symbol, i int) mergeQueue {
	if i < 0 || chain[i].next >= len(chain) {
		return queue
	}
	left, right := chain[i].id, chain[chain[i].next].id
	rank, ok := v.merge[uint32(left)<<16|uint32(right)]
	if !ok {
		return queue
	}
	return append(queue, candidate{rank: rank, left: left, right: right, at: i})
}

func (v *vocab) push(queue *mergeQueue, chain []symbol, i int) {
	before := len(*queue)
	*queue = v.candidate(*queue, chain, i)
	if len(*queue) > before {
		heap.Fix(queue, before)
	}
}

type mergeQueue []candidate

func (q mergeQueue) Len() int { return len(q) }
func (q mergeQueue) Less(i, j int) bool {
	return q[i].rank < q[j].rank || q[i].rank == q[j].rank && q[i].at < q[j].at
}
func (q mergeQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

// Push implements heap.Interface.
func (q *mergeQueue) Push(x any) { *q = append(*q, x.(candidate)) }

// Pop implements heap.Interface.
func (q *mergeQueue) Pop() any {
	old := *q
	x := old[len(old)-1]
	*q = old[:len(old)-1]
	return x
}
