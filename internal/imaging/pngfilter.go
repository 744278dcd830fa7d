package imaging

import "math/bits"

// filters holds a line in each of PNG's five filtered forms, each behind the byte that names the filter.
type filters struct {
	step  int
	lines [5][]byte
}

func newFilters(stride, step int) *filters {
	f := &filters{step: step}
	for i := range f.lines {
		f.lines[i] = make([]byte, stride+1)
		f.lines[i][0] = byte(i)
	}
	return f
}

// best returns the form whose bytes, taken as signed, have the smallest absolute sum.
func (f *filters) best(line, above []byte) []byte {
	var sums [5]int
	f.first(line, above, &sums)
	done := f.step + f.vectors(line, above, &sums)
	f.rest(line, above, done, &sums)
	best := 0
	for i, sum := range sums {
		if sum < sums[best] {
			best = i
		}
	}
	return f.lines[best]
}

// first makes the forms of the first pixel, which has no left neighbor, and adds up their bytes.
func (f *filters) first(line, above []byte, sums *[5]int) {
	for i, p := range line[:f.step] {
		b := above[i]
		f.set(i, [5]byte{p, p, p - b, p - b/2, p - b}, sums)
	}
}

// rest does so from a later place on.
func (f *filters) rest(line, above []byte, from int, sums *[5]int) {
	n := len(line)
	above, none, sub, up, avg, paeth := above[:n], f.lines[0][1:][:n], f.lines[1][1:][:n], f.lines[2][1:][:n], f.lines[3][1:][:n], f.lines[4][1:][:n]
	var s [5]int
	for i := from; i < n; i++ {
		p, a, b, c := line[i], line[i-f.step], above[i], above[i-f.step]
		none[i], sub[i], up[i], avg[i], paeth[i] = p, p-a, p-b, p-byte((int(a)+int(b))/2), p-predict(a, b, c)
		s[0] += size(p)
		s[1] += size(sub[i])
		s[2] += size(up[i])
		s[3] += size(avg[i])
		s[4] += size(paeth[i])
	}
	for k, v := range s {
		sums[k] += v
	}
}

func (f *filters) set(i int, forms [5]byte, sums *[5]int) {
	for k, v := range forms {
		f.lines[k][i+1] = v
		sums[k] += size(v)
	}
}

// size is that of a byte taken as signed.
func size(b byte) int { return length(int(int8(b))) }

// length is |v|, without a jump that the CPU would guess wrong half of the time.
func length(v int) int {
	sign := v >> (bits.UintSize - 1)
	return (v ^ sign) - sign
}

// predict is PNG's Paeth predictor, without jumps as well.
func predict(a, b, c byte) byte {
	x, y, z := int(a), int(b), int(c)
	pa, pb, pc := length(y-z), length(x-z), length(x+y-2*z)
	const last = bits.UintSize - 1
	z ^= (y ^ z) &^ ((pc - pb) >> last)
	z ^= (x ^ z) &^ (((pb - pa) | (pc - pa)) >> last)
	return byte(z)
}
