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
	for i := range mtLen - mtShift {
		g.state[i] = g.state[i+mtShift] ^ twist(g.state[i], g.state[i+1])
	}
	for i := mtLen - mtShift; i < mtLen-1; i++ {
		g.state[i] = g.state[i+mtShift-mtLen] ^ twist(g.state[i], g.state[i+1])
	}
	g.state[mtLen-1] = g.state[mtShift-1] ^ twist(g.state[mtLen-1], g.state[0])
	g.next = 0
}

func twist(a, b uint32) uint32 {
	y := a&0x80000000 | b&0x7fffffff
	return y>>1 ^ -(y&1)&0x9908b0df
}

// blockLen is the number of values that torch makes at a time: eight pairs, all the cosines before all the sines.
const blockLen = 16

// parallelBlocks is the number of blocks from which they are spread over the processors.
const parallelBlocks = 1 << 11

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
	spreadFrom(len(out)/blockLen, parallelBlocks, func(from, to int) {
		for i := from; i < to; i++ {
			boxMuller(out[i*blockLen:][:blockLen])
		}
	})
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
		radius := sqrt32(-2 * float32(logBelow1(float64(u1))))
		theta := float32(2*math.Pi) * u2
		sin, cos := math.Sincos(float64(theta))
		b[j], b[j+half] = radius*float32(cos), radius*float32(sin)
	}
}

// logBelow1 is math.Log for ordinary numbers up to 1, in the same steps (FreeBSD's e_log.c) but without its special cases, so
// that several run side by side.
func logBelow1(x float64) float64 {
	const (
		ln2Hi = 6.93147180369123816490e-01
		ln2Lo = 1.90821492927058770002e-10
		l1    = 6.666666666666735130e-01
		l2    = 3.999999999940941908e-01
		l3    = 2.857142874366239149e-01
		l4    = 2.222219843214978396e-01
		l5    = 1.818357216161805012e-01
		l6    = 1.531383769920937332e-01
		l7    = 1.479819860511658591e-01
	)
	// The number is 2^k*f with f between sqrt(2)/2 and sqrt(2); there is no branch that a random number would mislead.
	const root = 0x3fe6a09e00000000
	bits := math.Float64bits(x)
	above := bits - root
	k := float64(int64(above) >> 52)
	f := math.Float64frombits(bits - above&(0xfff<<52))
	f--
	s := f / (2 + f)
	s2 := s * s
	s4 := s2 * s2
	t1 := s2 * (l1 + s4*(l3+s4*(l5+s4*l7)))
	t2 := s4 * (l2 + s4*(l4+s4*l6))
	half := 0.5 * f * f
	return k*ln2Hi - ((half - (s*(half+t1+t2) + k*ln2Lo)) - f)
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
