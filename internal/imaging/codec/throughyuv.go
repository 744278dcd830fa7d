package codec

// The coefficients of swscale's conversion of RGB to limited-range YUV of BT.601, in 15 bits, and of the conversion back,
// in 13.
const (
	ry, gy, by = 8414, 16519, 3208
	ru, gu, bu = -4865, -9528, 14392
	rv, gv, bv = 14392, -12061, -2332
	yToRGB     = 9539
	vToR, uToB = 13075, 16525
	vToG, uToG = -6660, -3209
)

// throughYUV8 rounds an 8-bit color as ComfyUI's decoder does: swscale converts packed RGB to 32-bit floats by way of
// limited-range YUV, in the fixed point that is repeated here.
func throughYUV8(to []float32, red, green, blue byte) {
	const (
		black = 32<<14 + 1<<8 // 16 of 255, and half a unit
		gray  = 256<<14 + 1<<8
	)
	r, g, b := int64(red), int64(green), int64(blue)
	// Nine more bits are dropped than are kept: 2048 units to one of 255.
	y := (ry*r + gy*g + by*b + black) >> 9 << 5
	u := (ru*r + gu*g + bu*b + gray) >> 9 << 5
	v := (rv*r + gv*g + bv*b + gray) >> 9 << 5
	fromYUV(to, y, u, v)
}

// throughYUV16 does the same for 16-bit samples.
func throughYUV16(to []float32, r, g, b int64) {
	const (
		bits  = 15
		black = 0x2001 << (bits - 1)
		gray  = 0x10001 << (bits - 1)
	)
	y := (ry*r + gy*g + by*b + black) >> bits << 3
	u := (ru*r + gu*g + bu*b + gray) >> bits << 3
	v := (rv*r + gv*g + bv*b + gray) >> bits << 3
	fromYUV(to, y, u, v)
}

// fromYUV converts a color of 2048 units to one of 255.
func fromYUV(to []float32, y, u, v int64) {
	// 512 units to one of 255; chroma about zero.
	luma := (y>>2-16*512)*yToRGB + 1<<13 - 1<<29
	u, v = u>>2-128*512, v>>2-128*512
	to[0], to[1], to[2] = unit16(luma+v*vToR), unit16(luma+v*vToG+u*uToG), unit16(luma+u*uToB)
}

// unit16 converts 14 more bits than a 16-bit value has, about its middle, to 0…1.
func unit16(n int64) float32 {
	const most = 1<<16 - 1
	return float16(max(0, min(n>>14+1<<15, most)))
}
