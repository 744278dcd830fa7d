package jpeg

import "errors"

// lookup is the number of bits that are decoded by one look at a table.
const lookup = 9

// huffman is a code (ITU-T T.81, annex C).
type huffman struct {
	// short maps the next bits to value<<8 | length; 0 for longer codes.
	short [1 << lookup]uint16
	// most is the largest code of each length, -1 without one; first is its index less its code.
	most, first [17]int32
	values      [256]byte
}

var errHuffman = errors.New("there is a bad code in it")

// parseHuffman reads the tables of a DHT segment into dc and ac as far as they go.
func parseHuffman(b []byte, dc, ac *[4]*huffman) error {
	for len(b) >= 17 {
		class, id := b[0]>>4, b[0]&15
		if class > 1 || id > 3 {
			return errHuffman
		}
		counts := b[1:17]
		n := 0
		for _, c := range counts {
			n += int(c)
		}
		if n > 256 || len(b) < 17+n {
			return errHuffman
		}
		t := newHuffman(counts, b[17:17+n])
		if t == nil {
			return errHuffman
		}
		if class == 0 {
			dc[id] = t
		} else {
			ac[id] = t
		}
		b = b[17+n:]
	}
	return nil
}

// newHuffman builds a code, or returns nil if the counts exceed the room of the lengths.
func newHuffman(counts, values []byte) *huffman {
	t := &huffman{}
	copy(t.values[:], values)
	code, k := int32(0), int32(0)
	for length := 1; length <= 16; length++ {
		t.first[length] = k - code
		for range counts[length-1] {
			if code >= 1<<length {
				return nil
			}
			if length <= lookup {
				from := code << (lookup - length)
				for i := range int32(1) << (lookup - length) {
					t.short[from+i] = uint16(t.values[k])<<8 | uint16(length)
				}
			}
			code++
			k++
		}
		t.most[length] = code - 1
		if counts[length-1] == 0 {
			t.most[length] = -1
		}
		code <<= 1
	}
	return t
}

// bits reads entropy-coded data. Behind its end it gives zeros and counts them.
type bits struct {
	data []byte
	at   int
	acc  uint64
	have uint
	// over is the number of bits that were made up.
	over int
}

// fill has at least 32 bits afterwards.
func (b *bits) fill() {
	for b.have <= 56 {
		v := byte(0)
		switch {
		case b.at >= len(b.data):
			b.over += 8
		case b.data[b.at] != 0xff:
			v = b.data[b.at]
			b.at++
		case b.at+1 < len(b.data) && b.data[b.at+1] == 0:
			v = 0xff
			b.at += 2
		case b.at+1 < len(b.data) && b.data[b.at+1] == 0xff:
			b.at++ // fill byte
			continue
		default: // a marker
			b.over += 8
		}
		b.acc |= uint64(v) << (56 - b.have)
		b.have += 8
	}
}

// overread reports whether bits were used that are not there.
func (b *bits) overread() bool { return b.over > int(b.have) }

func (b *bits) get(n uint) int32 {
	if n == 0 {
		return 0
	}
	if b.have < n {
		b.fill()
	}
	v := int32(b.acc >> (64 - n))
	b.acc <<= n
	b.have -= n
	return v
}

// decode reads one symbol; ok is false for a bad code.
func (b *bits) decode(t *huffman) (v byte, ok bool) {
	if b.have < 16 {
		b.fill()
	}
	if e := t.short[b.acc>>(64-lookup)]; e != 0 {
		n := uint(e & 0xff)
		b.acc <<= n
		b.have -= n
		return byte(e >> 8), true
	}
	for n := uint(lookup + 1); n <= 16; n++ {
		code := int32(b.acc >> (64 - n))
		if t.most[n] >= 0 && code <= t.most[n] {
			if i := t.first[n] + code; i >= 0 && i < 256 {
				b.acc <<= n
				b.have -= n
				return t.values[i], true
			}
		}
	}
	return 0, false
}

// signed reads a value of n bits and extends its sign (ITU-T T.81, F.2.2.1).
func (b *bits) signed(n uint) int32 {
	v := b.get(n)
	if n > 0 && v < 1<<(n-1) {
		v += -1<<n + 1
	}
	return v
}
