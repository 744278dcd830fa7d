package jpeg

// Coefficients of FFmpeg's simple inverse transform: cos(i*pi/16)*sqrt(2) in 14 bits.
const (
	w1 = 22725
	w2 = 21407
	w3 = 19266
	w4 = 16383
	w5 = 12873
	w6 = 8867
	w7 = 4520

	rowShift = 11
	colShift = 20
	dcShift  = 3
)

// inverse writes the 8x8 samples of a block of dequantized coefficients, which it uses up.
func inverse(b *[64]int16, to []byte, stride int) {
	for i := 0; i < 64; i += 8 {
		inverseRow(b[i : i+8 : i+8])
	}
	for x := range 8 {
		inverseColumn(b, x, to[x:], stride)
	}
}

func inverseRow(r []int16) {
	_ = r[7]
	if r[1]|r[2]|r[3]|r[4]|r[5]|r[6]|r[7] == 0 {
		dc := r[0] << dcShift
		for i := range r {
			r[i] = dc
		}
		return
	}
	r0, r1, r2, r3, r4, r5, r6, r7 := int32(r[0]), int32(r[1]), int32(r[2]), int32(r[3]), int32(r[4]), int32(r[5]), int32(r[6]), int32(r[7])
	mid := w4*r0 + 1<<(rowShift-1)
	a0 := mid + w2*r2 + w4*r4 + w6*r6
	a1 := mid + w6*r2 - w4*r4 - w2*r6
	a2 := mid - w6*r2 - w4*r4 + w2*r6
	a3 := mid - w2*r2 + w4*r4 - w6*r6
	b0 := w1*r1 + w3*r3 + w5*r5 + w7*r7
	b1 := w3*r1 - w7*r3 - w1*r5 - w5*r7
	b2 := w5*r1 - w1*r3 + w7*r5 + w3*r7
	b3 := w7*r1 - w5*r3 + w3*r5 - w1*r7
	r[0], r[7] = int16((a0+b0)>>rowShift), int16((a0-b0)>>rowShift)
	r[1], r[6] = int16((a1+b1)>>rowShift), int16((a1-b1)>>rowShift)
	r[2], r[5] = int16((a2+b2)>>rowShift), int16((a2-b2)>>rowShift)
	r[3], r[4] = int16((a3+b3)>>rowShift), int16((a3-b3)>>rowShift)
}

func inverseColumn(b *[64]int16, x int, to []byte, stride int) {
	c := func(y int) int32 { return int32(b[8*y+x]) }
	mid := w4 * (c(0) + 1<<(colShift-1)/w4)
	c1, c2, c3, c4, c5, c6, c7 := c(1), c(2), c(3), c(4), c(5), c(6), c(7)
	a0 := mid + w2*c2 + w4*c4 + w6*c6
	a1 := mid + w6*c2 - w4*c4 - w2*c6
	a2 := mid - w6*c2 - w4*c4 + w2*c6
	a3 := mid - w2*c2 + w4*c4 - w6*c6
	b0 := w1*c1 + w3*c3 + w5*c5 + w7*c7
	b1 := w3*c1 - w7*c3 - w1*c5 - w5*c7
	b2 := w5*c1 - w1*c3 + w7*c5 + w3*c7
	b3 := w7*c1 - w5*c3 + w3*c5 - w1*c7
	put := func(y int, v int32) { to[y*stride] = byte(max(0, min(v>>colShift, 255))) }
	put(0, a0+b0)
	put(1, a1+b1)
	put(2, a2+b2)
	put(3, a3+b3)
	put(4, a3-b3)
	put(5, a2-b2)
	put(6, a1-b1)
	put(7, a0-b0)
}
