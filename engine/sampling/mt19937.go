package sampling

import "math"

// Generator is torch's CPU random generator: the Mersenne Twister mt19937 (Matsumoto and Nishimura, 1998) and the two
// ways in which torch.randn turns its words into normal values.
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

// NewGenerator returns a generator as torch.manual_seed leaves it: only the low 32 bits of the seed count.
func NewGenerator(seed uint64) *Generator {
	g := &Generator{next: mtLen}
	g.state[0] = uint32(seed)
	for i := 1; i < mtLen; i++ {
		prev := g.state[i-1]
		g.state[i] = 1812433253*(prev^prev>>30) + uint32(i)
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
	y ^= y >> 11
	y ^= y << 7 & 0x9d2c5680
	y ^= y << 15 & 0xefc60000
	return y ^ y>>18
}

func (g *Generator) refill() {
	for i := range g.state {
		y := g.state[i]&0x80000000 | g.state[(i+1)%mtLen]&0x7fffffff
		g.state[i] = g.state[(i+mtShift)%mtLen] ^ y>>1
		if y&1 == 1 {
			g.state[i] ^= 0x9908b0df
		}
	}
	g.next = 0
}

// blockLen is the number of values that torch makes at a time: eight pairs, all the cosines before all the sines.
const blockLen = 16

// Randn fills out as torch.randn of one tensor of that size does. From 16 values on these are float32 values of 24 random
// bits each, turned into normal ones by blocks of 16, the last block being drawn again where it is not full; below 16
// they are float64 values of 53 bits, of which one may be left for the next call.
func (g *Generator) Randn(out []float32) {
	if len(out) < blockLen {
		for i := range out {
			out[i] = float32(g.normal())
		}
		return
	}
	for i := range out {
		out[i] = g.uniform24()
	}
	for i := 0; i+blockLen <= len(out); i += blockLen {
		boxMuller(out[i : i+blockLen])
	}
	if len(out)%blockLen != 0 {
		last := out[len(out)-blockLen:]
		for i := range last {
			last[i] = g.uniform24()
		}
		boxMuller(last)
	}
}

func (g *Generator) uniform24() float32 { return float32(g.Uint32()&0xffffff) * (1.0 / (1 << 24)) }

func (g *Generator) uniform53() float64 {
	hi := uint64(g.Uint32())
	lo := uint64(g.Uint32())
	return float64((hi<<32|lo)&(1<<53-1)) * (1.0 / (1 << 53))
}

// boxMuller turns 16 uniform values into 16 normal ones in place (Box and Muller, 1958), in float32.
func boxMuller(b []float32) {
	const half = blockLen / 2
	for j := range half {
		u1, u2 := 1-b[j], b[j+half]
		radius := sqrt32(-2 * log32(u1))
		theta := float32(2*math.Pi) * u2
		sin, cos := math.Sincos(float64(theta))
		b[j], b[j+half] = radius*float32(cos), radius*float32(sin)
	}
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
