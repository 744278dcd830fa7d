package webp

// block is 4x4 coefficients or differences, row by row.
type block [16]int32

// The basis of VP8's inverse transform: 1, and √2·cos and √2·sin of π/8. All its vectors have the squared norm 4, so
// the forward transform is its transpose scaled by 1/2.
const (
	cos8 = 1.3065629648763766
	sin8 = 0.5411961001461970
)

// forwardDCT transforms the differences of a block.
func forwardDCT(d *block) (out block) {
	var m [16]float32
	line := func(a, b, c, e float32) (float32, float32, float32, float32) {
		s, t, u, v := a+e, b+c, b-c, a-e
		return s + t, cos8*v + sin8*u, s - t, sin8*v - cos8*u
	}
	for i := range 4 {
		m[4*i], m[4*i+1], m[4*i+2], m[4*i+3] = line(float32(d[4*i]), float32(d[4*i+1]), float32(d[4*i+2]), float32(d[4*i+3]))
	}
	for i := range 4 {
		a, b, c, e := line(m[i], m[4+i], m[8+i], m[12+i])
		out[i], out[4+i], out[8+i], out[12+i] = round(a/2), round(b/2), round(c/2), round(e/2)
	}
	return out
}

func round(v float32) int32 {
	if v < 0 {
		return -int32(0.5 - v)
	}
	return int32(v + 0.5)
}

// inverseDCT is the decoder's transform, to the bit (RFC 6386, section 14.3).
func inverseDCT(c *block) (out block) {
	const c1, c2 = 85627, 35468
	var m block
	for i := range 4 {
		a, b := c[i]+c[8+i], c[i]-c[8+i]
		p := c[4+i]*c2>>16 - c[12+i]*c1>>16
		q := c[4+i]*c1>>16 + c[12+i]*c2>>16
		m[i], m[4+i], m[8+i], m[12+i] = a+q, b+p, b-p, a-q
	}
	for j := range 4 {
		r := m[4*j : 4*j+4]
		dc := r[0] + 4
		a, b := dc+r[2], dc-r[2]
		p := r[1]*c2>>16 - r[3]*c1>>16
		q := r[1]*c1>>16 + r[3]*c2>>16
		out[4*j], out[4*j+1], out[4*j+2], out[4*j+3] = (a+q)>>3, (b+p)>>3, (b-p)>>3, (a-q)>>3
	}
	return out
}

// forwardWHT transforms the DC coefficients of a macroblock's sixteen luma blocks.
func forwardWHT(d *block) (out block) {
	var m block
	line := func(a, b, c, e int32) (int32, int32, int32, int32) {
		s, t, u, v := a+b, c+e, a-b, c-e
		return s + t, s - t, u - v, u + v
	}
	for i := range 4 {
		m[4*i], m[4*i+1], m[4*i+2], m[4*i+3] = line(d[4*i], d[4*i+1], d[4*i+2], d[4*i+3])
	}
	for i := range 4 {
		a, b, c, e := line(m[i], m[4+i], m[8+i], m[12+i])
		out[i], out[4+i], out[8+i], out[12+i] = half(a), half(b), half(c), half(e)
	}
	return out
}

func half(v int32) int32 {
	if v < 0 {
		return -((1 - v) >> 1)
	}
	return (v + 1) >> 1
}

// inverseWHT is the decoder's transform, to the bit (RFC 6386, section 14.3).
func inverseWHT(c *block) (out block) {
	var m block
	for i := range 4 {
		a0, a1 := c[i]+c[12+i], c[4+i]+c[8+i]
		a2, a3 := c[4+i]-c[8+i], c[i]-c[12+i]
		m[i], m[8+i], m[4+i], m[12+i] = a0+a1, a0-a1, a3+a2, a3-a2
	}
	for i := range 4 {
		dc := m[4*i] + 3
		a0, a1 := dc+m[4*i+3], m[4*i+1]+m[4*i+2]
		a2, a3 := m[4*i+1]-m[4*i+2], dc-m[4*i+3]
		out[4*i], out[4*i+1], out[4*i+2], out[4*i+3] = (a0+a1)>>3, (a3+a2)>>3, (a0-a1)>>3, (a3-a2)>>3
	}
	return out
}
