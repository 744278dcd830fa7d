package recipe

import (
	"encoding/binary"
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/weights"
)

// The functions that make or fill arrays are left out by the race detector (go:norace), which costs ten times their work. Each writes memory
// that its caller has made and no other goroutine knows yet.

// seedOf is the 64-bit FNV-1a hash of "salt:key".
func seedOf(salt, key string) uint64 {
	h := uint64(0xcbf29ce484222325)
	for _, s := range [...]string{salt, ":", key} {
		for i := range len(s) {
			h = (h ^ uint64(s[i])) * 0x100000001b3
		}
	}
	return h
}

// draw returns the i-th number of a seed's stream, i from 0: 24 signed bits, the top of splitmix64.
func draw(seed, i uint64) int64 {
	z := seed + (i+1)*0x9E3779B97F4A7C15
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	z ^= z >> 31
	return int64(z>>40) - 1<<23
}

// toBF16 rounds like the reference: to nearest even, and magnitudes below the normal range to zero.
//
//go:norace
func toBF16(v float64) uint16 {
	b := math.Float64bits(v)
	sign, mag := uint16(b>>48)&0x8000, b&^(1<<63)
	r := (mag + (1<<44 - 1) + mag>>45&1) >> 45
	if e := int(r>>7) - 1023 + 127; e > 0 {
		return sign | uint16(e)<<7 | uint16(r&0x7f)
	}
	return sign
}

// toF8 rounds a double to an 8-bit float with the given number of mantissa bits and exponent bias: to nearest even,
// straight from the double, subnormals kept, magnitudes beyond the range to largest, the greatest finite value.
//
//go:norace
func toF8(v float64, mantissa uint, bias int, largest uint64) byte {
	b := math.Float64bits(v)
	sign, mag := byte(b>>56)&0x80, b&^(1<<63)
	if int(mag>>52) < 1023+1-bias { // subnormal: multiples of the smallest step
		return sign | byte(math.RoundToEven(math.Ldexp(math.Abs(v), int(mantissa)+bias-1)))
	}
	drop := 52 - mantissa
	r := (mag+(1<<(drop-1)-1)+mag>>drop&1)>>drop - uint64(1023-bias)<<mantissa
	return sign | byte(min(r, largest))
}

// fill makes elements [from, from+len/size) of t.
//
//go:norace
func (t *Tensor) fill(dst []byte, salt string, from int) {
	size := t.DType.Size()
	if t.Kind == Bytes {
		copy(dst, t.Raw[from*size:])
		return
	}
	if t.Kind == Uniform && t.DType == dtype.F16 { // nearly all of every checkpoint
		seed := seedOf(salt, t.Key)
		for i := 0; i+1 < len(dst); i += 2 {
			v := float64(draw(seed, uint64(from+i/2))+t.B) * t.S
			binary.LittleEndian.PutUint16(dst[i:], weights.F64ToF16(v))
		}
		return
	}
	seed := seedOf(salt, t.Key)
	for i := range len(dst) / size {
		var v float64
		var n int64
		switch t.Kind {
		case Uniform:
			v = float64(draw(seed, uint64(from+i))+t.B) * t.S
		case Constant:
			v, n = t.S, int64(t.S)
		case Integers:
			n = t.B + (draw(seed, uint64(from+i))+1<<23)*int64(t.S)>>24
			v = float64(n)
		default:
			n = t.B + int64(from+i)
			v = float64(n)
		}
		put(dst[i*size:], t.DType, v, n)
	}
}

// put stores one element: v in float types, n in integer types.
//
//go:norace
func put(dst []byte, d dtype.DType, v float64, n int64) {
	switch d {
	case dtype.F64:
		binary.LittleEndian.PutUint64(dst, math.Float64bits(v))
	case dtype.F32:
		binary.LittleEndian.PutUint32(dst, math.Float32bits(float32(v)))
	case dtype.F16:
		binary.LittleEndian.PutUint16(dst, weights.F64ToF16(v))
	case dtype.BF16:
		binary.LittleEndian.PutUint16(dst, toBF16(v))
	case dtype.F8E4M3:
		dst[0] = toF8(v, 3, 7, 0x7e)
	case dtype.F8E5M2:
		dst[0] = toF8(v, 2, 15, 0x7b)
	case dtype.I64:
		binary.LittleEndian.PutUint64(dst, uint64(n))
	case dtype.I32:
		binary.LittleEndian.PutUint32(dst, uint32(n))
	case dtype.I16:
		binary.LittleEndian.PutUint16(dst, uint16(n))
	default:
		dst[0] = byte(n)
	}
}

// UniformArray is the input recipe uniform_array: n values (draw+bias) * amp * 2^-23 of the stream called name.
//
//go:norace
func UniformArray(name string, n int, amp float64, bias int64) []float32 {
	seed, out := seedOf("input", name), make([]float32, n)
	for i := range out {
		out[i] = float32(float64(draw(seed, uint64(i))+bias) * (amp * 0x1p-23))
	}
	return out
}

// NormalArray is the input recipe normal_array: n values of unit variance, each the sum of three uniform ones.
//
//go:norace
func NormalArray(name string, n int) []float32 {
	seed, out := seedOf("input", name), make([]float32, n)
	for i := range out {
		k := uint64(3 * i)
		out[i] = float32(float64(draw(seed, k)+draw(seed, k+1)+draw(seed, k+2)) * 0x1p-23)
	}
	return out
}

// ImageArray is the input recipe image_array: a patterned [b,h,w,c] image in 0…1.
//
//go:norace
func ImageArray(name string, b, h, w, c int) []float32 {
	seed, out := seedOf("input", name), make([]float32, 0, b*h*w*c)
	for bi := range b {
		for y := range h {
			for x := range w {
				for ci := range c {
					g := int64((x*7 + y*13 + ci*29 + bi*53) % 64)
					n := draw(seed, uint64(len(out)))
					out = append(out, float32(float64(g*4+(n+1<<23)>>18)/319.0))
				}
			}
		}
	}
	return out
}
