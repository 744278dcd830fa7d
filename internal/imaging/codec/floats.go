package codec

import "math"

// Floats writes row y as RGB in 0…1 to rgb (three values a pixel) and, unless it is nil, its alpha to alpha (one value a
// pixel). The values are those of ComfyUI's LoadImage: what its decoder hands out as 8-bit RGB or RGBA is divided by 255,
// everything else passes through FFmpeg's planar float, where an 8-bit v becomes v*256/65535. scratch is reused between
// calls of one goroutine.
func (f *Frame) Floats(y int, rgb, alpha []float32, scratch *Scratch) {
	switch f.Layout {
	case RGB8, RGBA8, Palette8:
		f.exactRow(y, rgb, alpha)
	case FullYUV:
		f.fullRow(y, rgb, scratch)
	case LimitedYUV, LimitedYUVA:
		f.limitedRow(y, rgb, scratch)
		if alpha != nil {
			widen(alpha, f.Alpha[y*f.Width:], 1)
		}
	case Gray8, Bilevel, Gray16, GrayAlpha8, GrayAlpha16:
		f.grayRow(y, rgb, alpha)
	case Packed8, PackedAlpha8, Planar8, PlanarAlpha8:
		f.packedRow(y, rgb, alpha)
	case RGB16, RGBA16:
		f.row16(y, rgb, alpha)
	case Decoded8:
		row := f.Row(y)
		widen(rgb[:len(row)], row, 1)
	case Decoded16:
		row := f.Row(y)
		for i := range rgb {
			rgb[i] = float16(int64(row[2*i])<<8 | int64(row[2*i+1]))
		}
	case GrayFloat, RGBFloat, LimitedGrayFloat:
		f.floatRow(y, rgb)
	}
}

func (f *Frame) floatRow(y int, rgb []float32) {
	c := f.Layout.Channels()
	row := f.Float[c*y*f.Width:]
	for x := range f.Width {
		if f.Layout == LimitedGrayFloat {
			const gray = 128 << 11
			fromYUV(rgb[3*x:3*x+3], int64(math.Round(float64(unit(row[x]))*65535))<<3, gray, gray)
			continue
		}
		for k := range 3 {
			v := row[c*x+min(k, c-1)]
			if v != v { //nolint:gocritic // NaN
				v = 0
			}
			rgb[3*x+k] = v
		}
	}
}

// unit clips to 0…1 in the steps that 16 bits have; NaN becomes 0.
func unit(v float32) float32 {
	switch {
	case v >= 1:
		return 1
	case v > 0:
		return float16(int64(math.Round(float64(v) * 65535)))
	}
	return 0
}

// float16 converts a 16-bit value to 0…1.
func float16(v int64) float32 { return float32(v) * (1.0 / 65535) }

// widen converts every step-th byte to floats as planar float has them.
func widen(to []float32, from []byte, step int) {
	for i := range to {
		to[i] = float16(int64(from[i*step]) << 8)
	}
}

// Aligned is the number that an image's width must be a multiple of to be converted unchanged: upstream pads other widths
// in a filter graph first, some of them in another pixel format.
const Aligned = 32

// exactRow divides 8-bit values by 255.
func (f *Frame) exactRow(y int, rgb, alpha []float32) {
	row := f.Row(y)
	if f.Layout == RGB8 {
		for i, v := range row {
			rgb[i] = float32(v) / 255
		}
		return
	}
	for x := range f.Width {
		var c [4]byte
		if f.Layout == Palette8 {
			c = f.color(row[x])
		} else {
			c = [4]byte(row[4*x:])
		}
		rgb[3*x], rgb[3*x+1], rgb[3*x+2] = float32(c[0])/255, float32(c[1])/255, float32(c[2])/255
		if alpha != nil {
			alpha[x] = float32(c[3]) / 255
		}
	}
}

// color is the palette's color of an index.
func (f *Frame) color(index byte) [4]byte {
	if int(index) >= len(f.Palette) {
		return [4]byte{3: 255}
	}
	c := f.Palette[index]
	return [4]byte{c.R, c.G, c.B, c.A}
}

// grayRow keeps gray as it is. Upstream makes gray of single bits, and RGB planes of gray with alpha, when it pads.
func (f *Frame) grayRow(y int, rgb, alpha []float32) {
	row := f.Row(y)
	aligned := f.Width%Aligned == 0
	for x := range f.Width {
		var v float32
		switch f.Layout {
		case Bilevel:
			if v = float16(int64(row[x]) << 8); aligned {
				v = float32(row[x]) / 255
			}
		case Gray8:
			v = float16(int64(row[x]) << 8)
		case Gray16:
			v = float16(sample16(row[2*x:]))
		case GrayAlpha8:
			g := row[2*x]
			if v = float16(int64(g) << 8); !aligned {
				throughYUV8(rgb[3*x:3*x+3], g, g, g)
			}
			setAlpha(alpha, x, int64(row[2*x+1])<<8)
		case GrayAlpha16:
			g := sample16(row[4*x:])
			if v = float16(g); !aligned {
				throughYUV16(rgb[3*x:3*x+3], g, g, g)
			}
			setAlpha(alpha, x, sample16(row[4*x+2:]))
		}
		if aligned || !f.Layout.Alpha() {
			rgb[3*x], rgb[3*x+1], rgb[3*x+2] = v, v, v
		}
	}
}

func setAlpha(alpha []float32, x int, v int64) {
	if alpha != nil {
		alpha[x] = float16(v)
	}
}

func sample16(b []byte) int64 { return int64(b[0])<<8 | int64(b[1]) }

// packedRow converts 8-bit colors through YUV. Alpha keeps other bits where it is interleaved and nothing is padded.
func (f *Frame) packedRow(y int, rgb, alpha []float32) {
	row, step := f.Row(y), f.Layout.Channels()
	interleaved := f.Layout == PackedAlpha8 && f.Width%Aligned == 0
	for x := range f.Width {
		p := row[step*x:]
		throughYUV8(rgb[3*x:3*x+3], p[0], p[1], p[2])
		if alpha == nil {
			continue
		}
		a := int64(p[3]) << 8
		if interleaved {
			a = (int64(p[3])<<6 | int64(p[3])>>2) << 2
		}
		alpha[x] = float16(a)
	}
}

func (f *Frame) row16(y int, rgb, alpha []float32) {
	row, step := f.Row(y), f.Layout.Bytes()
	for x := range f.Width {
		p := row[step*x:]
		throughYUV16(rgb[3*x:3*x+3], sample16(p), sample16(p[2:]), sample16(p[4:]))
		if alpha != nil {
			alpha[x] = float16(sample16(p[6:]))
		}
	}
}
