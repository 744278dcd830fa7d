package imaging

// throughYUV rounds a row of colours in 0…1, which come from 8-bit values, as ComfyUI's decoder does for the formats whose
// pixels FFmpeg hands out as bgr24 and bgra (GIF, BMP): swscale brings them to 32-bit floats by way of limited-range YUV of
// BT.601. rgb holds three values a pixel, alpha one or is nil. The constants are those of swscale, in fixed point: 15 bits
// for the way there (rgb2yuv), 13 for the way back (yuv2rgb).
// Alpha loses other bits in rows whose length is no multiple of 32: upstream has a filter enlarge those.
func throughYUV(rgb, alpha []float32) {
	const (
		ry, gy, by = 8414, 16519, 3208
		ru, gu, bu = -4865, -9528, 14392
		rv, gv, bv = 14392, -12061, -2332
		black      = 32<<14 + 1<<8 // 16 of 255, and half a unit
		grey       = 256<<14 + 1<<8
		yToRGB     = 9539
		vToR, uToB = 13075, 16525
		vToG, uToG = -6660, -3209
	)
	for i := 0; i+2 < len(rgb); i += 3 {
		r, g, b := byteOf(rgb[i]), byteOf(rgb[i+1]), byteOf(rgb[i+2])
		// Nine more bits are dropped than are kept: 2048 units to one of 255.
		y := (ry*r + gy*g + by*b + black) >> 9 << 5
		u := (ru*r + gu*g + bu*b + grey) >> 9 << 5
		v := (rv*r + gv*g + bv*b + grey) >> 9 << 5
		// 512 units to one of 255; colour differences about zero.
		luma := (y>>2-16*512)*yToRGB + 1<<13 - 1<<29
		u, v = u>>2-128*512, v>>2-128*512
		rgb[i], rgb[i+1], rgb[i+2] = unit16(luma+v*vToR), unit16(luma+v*vToG+u*uToG), unit16(luma+u*uToB)
	}
	for i, a := range alpha {
		n := byteOf(a)
		if len(alpha)%enlarged != 0 {
			alpha[i] = float32(n<<8) * (1.0 / 65535)
		} else {
			alpha[i] = float32(n<<6|n>>2) * 4 * (1.0 / 65535)
		}
	}
}

// enlarged is what the width of a picture must be a multiple of to be converted as it is.
const enlarged = 32

func byteOf(v float32) int64 { return int64(v*255 + 0.5) }

// unit16 brings 14 more bits than a 16-bit value has, about its middle, to 0…1.
func unit16(n int64) float32 {
	const most = 1<<16 - 1
	return float32(max(0, min(n>>14+1<<15, most))) * (1.0 / most)
}
