package weights

import "math"

// The scalar conversions between the small float types and float32/float64. All are exact where the result can
// hold the value and otherwise round to nearest, ties to even.

// F16ToF32 returns the value of IEEE half-precision bits.
func F16ToF32(h uint16) float32 {
	// Moving the 15 magnitude bits up by 13 leaves a float whose exponent is 112 too small; the multiplication
	// repairs it and makes subnormals normal on the way.
	mag := uint32(h) & 0x7fff
	f := math.Float32bits(math.Float32frombits(mag<<13) * 0x1p112)
	if mag >= 0x7c00 { // infinities and NaN keep their payload
		f = mag<<13 | 0x7f800000
	}
	return math.Float32frombits(f | uint32(h&0x8000)<<16)
}

// BF16ToF32 returns the value of bfloat16 bits.
func BF16ToF32(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// F32ToF16 rounds to IEEE half precision; too large values become infinities.
func F32ToF16(v float32) uint16 {
	b := math.Float32bits(v)
	sign, mag := uint16(b>>16)&0x8000, b&0x7fffffff
	switch {
	case mag > 0x7f800000:
		return sign | 0x7e00 | uint16(mag>>13)&0x1ff
	case mag >= 0x477ff000: // 65520: everything from here rounds to infinity
		return sign | 0x7c00
	case mag >= 0x38800000: // 2^-14: normal numbers
		return sign | uint16((mag+0xfff+mag>>13&1)>>13-112<<10)
	}
	// Adding 2^-1 (whose last bit is worth 2^-24, the smallest half) makes the unit round the subnormal.
	return sign | uint16(math.Float32bits(math.Float32frombits(mag)+0.5)-0x3f000000)
}

// F64ToF16 rounds directly, not by way of float32.
func F64ToF16(v float64) uint16 {
	b := math.Float64bits(v)
	sign, mag := uint16(b>>48)&0x8000, b&^(1<<63)
	switch {
	case mag > 0x7ff<<52:
		return sign | 0x7e00
	case mag >= 0x40effe0000000000: // 65520
		return sign | 0x7c00
	case mag >= 0x3f10000000000000: // 2^-14
		return sign | uint16((mag+(1<<41-1)+mag>>42&1)>>42-1008<<10)
	}
	const one = 0x41b0000000000000 // 2^28, whose last bit is worth 2^-24
	return sign | uint16(math.Float64bits(math.Float64frombits(mag)+0x1p28)-one)
}

// F32ToBF16 rounds to bfloat16.
func F32ToBF16(v float32) uint16 {
	b := math.Float32bits(v)
	if b&0x7fffffff > 0x7f800000 {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// f8e4m3 and f8e5m2 hold the value of each 8-bit float. E4M3 is the "fn" form: no infinities, NaN only at 0x7f
// and 0xff, largest value 448. E5M2 is the upper half of an IEEE half.
var f8e4m3, f8e5m2 = f8Tables()

func f8Tables() (e4m3, e5m2 [256]float32) {
	for i := range e4m3 {
		e5m2[i] = F16ToF32(uint16(i) << 8)
		exp, man := i>>3&15, float64(i&7)
		v := math.Ldexp(1+man/8, exp-7)
		switch {
		case i&0x7f == 0x7f:
			v = math.NaN()
		case exp == 0:
			v = math.Ldexp(man/8, -6)
		}
		e4m3[i] = float32(math.Copysign(v, 1-float64(i>>7)*2))
	}
	return e4m3, e5m2
}
