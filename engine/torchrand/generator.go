package torchrand

import "math"

// Generator is torch's CPU random generator: the Mersenne Twister mt19937 (Matsumoto and Nishimura, 1998) and what
// torch.randn makes of its words.
type Generator struct {
	state  [mtLen]uint32
	next   int
	cached float64
	has    bool
}

const (
	mtLen   = 624
	mtShift = 397
)

// New returns a generator as torch.manual_seed leaves it: only the low 32 bits of the seed count.
func New(seed uint64) *Generator {
	g := &Generator{next: mtLen}
	word := uint32(seed)
	g.state[0] = word
	for i := 1; i < mtLen; i++ {
		word = 1812433253*(word^word>>30) + uint32(i)
		g.state[i] = word
	}
	return g
}

// Uint32 returns the next word.
func (g *Generator) Uint32() uint32 {
	if g.next == mtLen {
		g.refill()
	}
	y := g.state[g.next]
	g.next++
	return temper(y)
}

func temper(y uint32) uint32 {
	y ^= y >> 11
	y ^= y << 7 & 0x9d2c5680
	y ^= y << 15 & 0xefc60000
	return y ^ y>>18
}

// refill makes the next 624 words. Word i depends on words i, i+1 and i+397 around the ring, so that runs of up to 227 can be
// computed in parallel.
func (g *Generator) refill() {
	const early = mtLen - mtShift
	s := &g.state
	for i := twistRun(s[:early+1], s[mtShift:]); i < early; i++ {
		s[i] = s[i+mtShift] ^ twist(s[i], s[i+1])
	}
	for i := early + twistRun(s[early:], s[:]); i < mtLen-1; i++ {
		s[i] = s[i-early] ^ twist(s[i], s[i+1])
	}
	s[mtLen-1] = s[mtShift-1] ^ twist(s[mtLen-1], s[0])
	g.next = 0
}

func twist(a, b uint32) uint32 {
	y := a&0x80000000 | b&0x7fffffff
	return y>>1 ^ -(y&1)&0x9908b0df
}

const (
	// blockLen is the number of values that torch makes at a time: eight pairs, all the cosines before all the sines.
	blockLen = 16
	// chunkLen is the number of uniform values made at once before they become normal: they fit into the first-level cache.
	chunkLen = 2048
)

// Randn fills out as torch.randn of one float32 tensor of that size does. From 16 values on these are uniform values of 24 random
// bits each, turned into normal ones by blocks of 16, the last block being drawn again where it is not full; below 16
// they are float64 values of 53 bits, of which one may be left for the next call.
func (g *Generator) Randn(out []float32) {
	if len(out) < blockLen {
		for i := range out {
			out[i] = float32(g.normal())
		}
		return
	}
	for at := 0; at < len(out); at += chunkLen {
		part := out[at:min(at+chunkLen, len(out))]
		g.uniform24(part)
		boxMuller(part[:len(part)/blockLen*blockLen])
	}
	if len(out)%blockLen != 0 {
		last := out[len(out)-blockLen:]
		g.uniform24(last)
		boxMuller(last)
	}
}

// uniform24 fills out with uniform values of 24 bits.
func (g *Generator) uniform24(out []float32) {
	for len(out) > 0 {
		if g.next == mtLen {
			g.refill()
		}
		words := g.state[g.next:]
		words = words[:min(len(words), len(out))]
		for i := uniformRun(out, words); i < len(words); i++ {
			out[i] = float32(temper(words[i])&0xffffff) * (1.0 / (1 << 24))
		}
		g.next += len(words)
		out = out[len(words):]
	}
}

func (g *Generator) uniform53() float64 {
	hi := uint64(g.Uint32())
	lo := uint64(g.Uint32())
	return float64((hi<<32|lo)&(1<<53-1)) * (1.0 / (1 << 53))
}

// normal returns one normal value in float64 and keeps the second of the pair.
func (g *Generator) normal() float64 {
	if g.has {
		g.has = false
		return g.cached
	}
	u1 := g.uniform53()
	u2 := g.uniform53()
	radius := math.Sqrt(-2 * math.Log1p(-u2))
	sin, cos := math.Sincos(2 * math.Pi * u1)
	g.cached, g.has = radius*sin, true
	return radius * cos
}

// Exponential fills out with values of the exponential distribution of rate 1, as torch's exponential_ does on the CPU: 53
// random bits a value, the logarithm in float64.
func (g *Generator) Exponential(out []float32) {
	for i := range out {
		out[i] = float32(-math.Log1p(-g.uniform53()))
	}
}
