package torchrand

import "math/bits"

// Below returns a number in 0…n-1 as NumPy's RandomState does: words are masked and redrawn if they are too large. For n of 1
// nothing is drawn.
func (g *Generator) Below(n int) int {
	if n <= 1 {
		return 0
	}
	mask := uint32(1)<<bits.Len32(uint32(n-1)) - 1
	for {
		if v := g.Uint32() & mask; v < uint32(n) {
			return int(v)
		}
	}
}

// Permutation returns the numbers 0…n-1 in random order, as NumPy's RandomState.permutation does.
func (g *Generator) Permutation(n int) []int {
	p := make([]int, n)
	for i := range p {
		p[i] = i
	}
	for i := n - 1; i > 0; i-- {
		j := g.Below(i + 1)
		p[i], p[j] = p[j], p[i]
	}
	return p
}

// Uniform fills out as torch.rand of one float32 tensor of that size does: 24 random bits each.
func (g *Generator) Uniform(out []float32) { g.uniform24(out) }

// Randperm returns the numbers 0…n-1 in random order, as torch.randperm does for n below two hundred million.
func (g *Generator) Randperm(n int) []int {
	p := make([]int, n)
	for i := range p {
		p[i] = i
	}
	for i := range n - 1 {
		k := i + int(g.Uint32()%uint32(n-i))
		p[i], p[k] = p[k], p[i]
	}
	return p
}
