package webp

import "container/heap"

// encodeAlpha returns an ALPH chunk and overwrites alpha, which has rows of the given number of pixels: the alpha of
// each pixel less that of its left neighbor, in one prefix code (the lossless format without its back references, RFC
// 9649 sections 2.7.1.2 and 3).
func encodeAlpha(residues []uint8, width int) []byte {
	const filterLeft, lossless = 1 << 2, 1
	predict(residues, width)
	counts := make([]int, greenSymbols)
	for _, r := range residues {
		counts[r]++
	}
	w := &bitWriter{out: []byte{filterLeft | lossless}}
	w.write(0, 3) // no transform, no colour cache, one group of codes
	codes := w.prefixCode(counts)
	for range 4 { // red, blue, alpha and distance: always 0, which takes no bits
		w.write(0b0001, 4) // a simple code with one symbol of one bit: 1, 0, 0, then the symbol 0
	}
	for _, r := range residues {
		w.write(codes[r].bits, codes[r].length)
	}
	return w.finish()
}

// greenSymbols are the literals and the lengths of back references that share the code of green.
const greenSymbols = 256 + 24

// predict replaces alpha by its difference from the left neighbor, in the first column from the upper one.
func predict(pix []uint8, width int) {
	for i := len(pix) - 1; i > 0; i-- {
		if i%width > 0 {
			pix[i] -= pix[i-1]
		}
	}
	for i := len(pix) - width; i > 0; i -= width {
		pix[i] -= pix[i-width]
	}
}

// bitWriter packs bits, the lowest first.
type bitWriter struct {
	out  []byte
	acc  uint64
	have uint
}

func (w *bitWriter) write(v uint32, n uint) {
	w.acc |= uint64(v) << w.have
	for w.have += n; w.have >= 8; w.have -= 8 {
		w.out = append(w.out, byte(w.acc))
		w.acc >>= 8
	}
}

func (w *bitWriter) finish() []byte {
	if w.have > 0 {
		w.out = append(w.out, byte(w.acc))
	}
	return w.out
}

type code struct {
	bits   uint32
	length uint
}

// prefixCode writes the code lengths of the symbols and returns their codes.
func (w *bitWriter) prefixCode(counts []int) []code {
	if symbol, only := single(counts); only {
		w.write(0b101, 3) // a simple code, one symbol, of eight bits
		w.write(uint32(symbol), 8)
		return make([]code, len(counts))
	}
	lengths := codeLengths(counts)
	w.write(0, 1)
	// Every length from 0 to 15 gets a code of four bits, so that a length is written as it is.
	w.write(15, 4) // 19 lengths of lengths follow
	for i := range 19 {
		switch i {
		case 0, 1, 8: // 17, 18 and 16, the repetitions: not used
			w.write(0, 3)
		default:
			w.write(4, 3)
		}
	}
	w.write(0, 1) // lengths of all symbols follow
	for _, l := range lengths {
		w.write(reverse(uint32(l), 4), 4)
	}
	return canonical(lengths)
}

func single(counts []int) (symbol int, only bool) {
	used := 0
	for i, n := range counts {
		if n > 0 {
			symbol, used = i, used+1
		}
	}
	return symbol, used <= 1
}

func reverse(v uint32, n uint) (out uint32) {
	for range n {
		out = out<<1 | v&1
		v >>= 1
	}
	return out
}

// canonical numbers the codes of each length upwards by symbol.
func canonical(lengths []uint) []code {
	codes := make([]code, len(lengths))
	next := uint32(0)
	for l := uint(1); l <= maxCodeLength; l++ {
		for i, n := range lengths {
			if n == l {
				codes[i] = code{reverse(next, l), l}
				next++
			}
		}
		next <<= 1
	}
	return codes
}

const maxCodeLength = 15

// codeLengths returns the lengths of a Huffman code for at least two used symbols. Should one be longer than the format
// allows, the counts are flattened until none is.
func codeLengths(counts []int) []uint {
	floor := 0
	for {
		lengths, longest := huffman(counts, floor)
		if longest <= maxCodeLength {
			return lengths
		}
		floor = 2*floor + 1
	}
}

type tree struct {
	count       int
	symbol      int
	left, right *tree
}

type treeHeap []*tree

func (h treeHeap) Len() int           { return len(h) }
func (h treeHeap) Less(i, j int) bool { return h[i].count < h[j].count }
func (h treeHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push is for container/heap.
func (h *treeHeap) Push(x any) { *h = append(*h, x.(*tree)) }

// Pop is for container/heap.
func (h *treeHeap) Pop() any {
	last := len(*h) - 1
	t := (*h)[last]
	*h = (*h)[:last]
	return t
}

func huffman(counts []int, floor int) (lengths []uint, longest uint) {
	var h treeHeap
	for i, n := range counts {
		if n > 0 {
			h = append(h, &tree{count: max(n, floor), symbol: i})
		}
	}
	heap.Init(&h)
	for len(h) > 1 {
		a, b := heap.Pop(&h).(*tree), heap.Pop(&h).(*tree)
		heap.Push(&h, &tree{count: a.count + b.count, left: a, right: b})
	}
	lengths = make([]uint, len(counts))
	var visit func(t *tree, depth uint)
	visit = func(t *tree, depth uint) {
		if t.left == nil {
			lengths[t.symbol] = depth
			longest = max(longest, depth)
			return
		}
		visit(t.left, depth+1)
		visit(t.right, depth+1)
	}
	visit(h[0], 0)
	return lengths, longest
}
