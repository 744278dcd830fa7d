package dataset

import (
	"math/bits"

	"comfygo/engine/torchrand"
)

// random draws as NumPy's RandomState does: the words of a Mersenne Twister, masked and drawn again where they are too large.
type random struct{ words *torchrand.Generator }

// newRandom seeds the generator as upstream's dataset classes do, which take the seed modulo 2^32-1.
func newRandom(seed uint64) *random {
	const modulus = 1<<32 - 1
	return &random{torchrand.New(seed % modulus)}
}

// below returns a number in 0…n-1; nothing is drawn for n of 1.
func (r *random) below(n int) int {
	if n <= 1 {
		return 0
	}
	mask := uint32(1)<<bits.Len32(uint32(n-1)) - 1
	for {
		if v := r.words.Uint32() & mask; v < uint32(n) {
			return int(v)
		}
	}
}

// permutation returns the numbers 0…n-1 in random order.
func (r *random) permutation(n int) []int {
	p := make([]int, n)
	for i := range p {
		p[i] = i
	}
	for i := n - 1; i > 0; i-- {
		j := r.below(i + 1)
		p[i], p[j] = p[j], p[i]
	}
	return p
}
