package audio

import (
	"encoding/binary"
	"math/bits"
)

// bitWriter packs bits, the most significant first.
type bitWriter struct {
	buf  []byte
	bits uint64 // the last n bits are not written yet
	n    int
}

func (w *bitWriter) reset() { w.buf, w.bits, w.n = w.buf[:0], 0, 0 }

// write adds the last n bits of v, at most 32; the bits above them are 0.
func (w *bitWriter) write(v uint64, n int) {
	w.bits = w.bits<<n | v
	if w.n += n; w.n >= 32 {
		w.n -= 32
		w.buf = binary.BigEndian.AppendUint32(w.buf, uint32(w.bits>>w.n))
	}
}

// rice adds v by the Rice code with parameter k: v>>k zeros, a one, and the last k bits.
func (w *bitWriter) rice(v uint32, k int) {
	high := int(v >> k)
	low := uint64(v)&(1<<k-1) | 1<<k
	if high+k+1 <= 32 {
		w.write(low, high+k+1)
		return
	}
	for ; high > 31; high -= 31 {
		w.write(0, 31)
	}
	w.write(0, high)
	w.write(low, k+1)
}

// align writes zeros to the end of the byte.
func (w *bitWriter) align() {
	if over := w.n % 8; over > 0 {
		w.write(0, 8-over)
	}
	for w.n > 0 {
		w.n -= 8
		w.buf = append(w.buf, byte(w.bits>>w.n))
	}
}

// Tables of the checksums, for the polynomials x^8+x^2+x+1 and x^16+x^15+x^2+1.
var (
	crc8Table  = makeTable8()
	crc16Table = makeTable16()
)

func makeTable8() (t [256]uint8) {
	for i := range t {
		c := uint8(i)
		for range 8 {
			if c&0x80 != 0 {
				c = c<<1 ^ 0x07
			} else {
				c <<= 1
			}
		}
		t[i] = c
	}
	return t
}

func makeTable16() (t [256]uint16) {
	for i := range t {
		c := uint16(i) << 8
		for range 8 {
			if c&0x8000 != 0 {
				c = c<<1 ^ 0x8005
			} else {
				c <<= 1
			}
		}
		t[i] = c
	}
	return t
}

func crc8(data []byte) (c uint8) {
	for _, b := range data {
		c = crc8Table[c^b]
	}
	return c
}

func crc16(data []byte) (c uint16) {
	for _, b := range data {
		c = c<<8 ^ crc16Table[byte(c>>8)^b]
	}
	return c
}

// bitReader reads what bitWriter writes. Beyond the end it gives zeros and is bad.
type bitReader struct {
	data []byte
	pos  int // the next byte
	bits uint64
	n    int // valid bits of bits, the last ones
	bad  bool
}

// fill makes at least 32 bits available, as far as there are any.
func (r *bitReader) fill() {
	if r.pos+4 <= len(r.data) {
		r.bits = r.bits<<32 | uint64(binary.BigEndian.Uint32(r.data[r.pos:]))
		r.pos += 4
		r.n += 32
		return
	}
	for r.n < 32 {
		var b byte
		if r.pos < len(r.data) {
			b = r.data[r.pos]
		} else if r.pos > len(r.data)+8 {
			r.bad = true
		}
		r.pos++
		r.bits = r.bits<<8 | uint64(b)
		r.n += 8
	}
}

// read returns the next n bits, at most 32.
func (r *bitReader) read(n int) uint32 {
	if r.n < n {
		r.fill()
	}
	r.n -= n
	return uint32(r.bits >> r.n & (1<<n - 1))
}

// signed reads a number in two's complement.
func (r *bitReader) signed(n int) int32 {
	if n == 0 {
		return 0
	}
	return int32(r.read(n)<<(32-n)) >> (32 - n)
}

// zeros counts the zeros before the next one and skips both.
func (r *bitReader) zeros() int {
	count := 0
	for {
		if r.n == 0 {
			r.fill()
		}
		rest := r.bits << (64 - r.n)
		if rest != 0 {
			z := bits.LeadingZeros64(rest)
			r.n -= z + 1
			return count + z
		}
		count += r.n
		r.n = 0
		if r.bad || r.pos > len(r.data)+8 {
			r.bad = true
			return 0
		}
	}
}

// rice reads numbers coded with parameter k, folded back to signed ones.
func (r *bitReader) rice(out []int32, k int) {
	mask := uint64(1)<<k - 1
	for i := range out {
		if r.n < 32 {
			r.fill()
		}
		var v uint32
		if z := bits.LeadingZeros64(r.bits << (64 - r.n)); z+1+k <= r.n { // the whole code is there
			r.n -= z + 1 + k
			v = uint32(z)<<k | uint32(r.bits>>r.n&mask)
		} else {
			z := r.zeros()
			v = uint32(z)<<k | r.read(k)
			if r.bad {
				return
			}
		}
		out[i] = int32(v>>1) ^ -int32(v&1)
	}
}

// align skips to the next byte.
func (r *bitReader) align() { r.n -= r.n % 8 }

// position is the number of bytes read, a begun one included.
func (r *bitReader) position() int { return r.pos - r.n/8 }
