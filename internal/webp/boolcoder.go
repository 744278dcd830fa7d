package webp

// boolCoder is VP8's arithmetic coder (RFC 6386, section 7.3).
type boolCoder struct {
	out    []byte
	span   uint32
	bottom uint32
	bits   int // shifts until a byte is complete
}

func newBoolCoder() *boolCoder { return &boolCoder{span: 255, bits: 24} }

// bit codes one bit that is 0 with the probability prob/256.
func (c *boolCoder) bit(prob uint8, one bool) {
	split := 1 + (c.span-1)*uint32(prob)>>8
	if one {
		c.bottom += split
		c.span -= split
	} else {
		c.span = split
	}
	for c.span < 128 {
		c.span <<= 1
		if c.bottom&(1<<31) != 0 {
			c.carry()
		}
		c.bottom <<= 1
		if c.bits--; c.bits == 0 {
			c.out = append(c.out, byte(c.bottom>>24))
			c.bottom &= 1<<24 - 1
			c.bits = 8
		}
	}
}

// carry adds one to what is written already.
func (c *boolCoder) carry() {
	i := len(c.out) - 1
	for ; i >= 0 && c.out[i] == 255; i-- {
		c.out[i] = 0
	}
	if i >= 0 {
		c.out[i]++
	}
}

// number codes n as bits of equal probability, the highest first.
func (c *boolCoder) number(n uint32, bits int) {
	for i := bits - 1; i >= 0; i-- {
		c.bit(128, n>>i&1 == 1)
	}
}

// finish returns what was coded.
func (c *boolCoder) finish() []byte {
	v, n := c.bottom, c.bits
	if v&(1<<(32-n)) != 0 {
		c.carry()
	}
	v <<= n & 7
	for n >>= 3; n > 0; n-- {
		v <<= 8
	}
	for range 4 {
		c.out = append(c.out, byte(v>>24))
		v <<= 8
	}
	return c.out
}
