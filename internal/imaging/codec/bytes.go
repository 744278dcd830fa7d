package codec

// RGBA writes row y as 8-bit RGB with alpha, not premultiplied, as Pillow decodes it: four bytes a pixel, alpha 255 if
// the layout has none.
func (f *Frame) RGBA(y int, to []byte, scratch *Scratch) {
	switch f.Layout {
	case FullYUV:
		scratch.use(f, true)
		f.smoothed(y, scratch.bytes, scratch)
		spread(to, scratch.bytes, f.Width)
	case LimitedYUV, LimitedYUVA:
		f.fancyRow(y, to)
		if f.Layout == LimitedYUVA {
			for x, a := range f.Alpha[y*f.Width:][:f.Width] {
				to[4*x+3] = a
			}
		}
	case Palette8:
		for x, index := range f.Row(y) {
			c := f.color(index)
			copy(to[4*x:], c[:])
		}
	case GrayFloat, RGBFloat, LimitedGrayFloat:
		f.floatBytes(y, to)
	default:
		f.samples(y, to)
	}
}

// spread gives opaque alpha to RGB.
func spread(to, rgb []byte, width int) {
	for x := range width {
		to[4*x], to[4*x+1], to[4*x+2], to[4*x+3] = rgb[3*x], rgb[3*x+1], rgb[3*x+2], 255
	}
}

func (f *Frame) floatBytes(y int, to []byte) {
	c := f.Layout.Channels()
	row := f.Float[c*y*f.Width:]
	for x := range f.Width {
		for k := range 3 {
			to[4*x+k] = byte(unit(row[c*x+min(k, c-1)])*255 + 0.5)
		}
		to[4*x+3] = 255
	}
}

// samples takes the high bytes of interleaved samples.
func (f *Frame) samples(y int, to []byte) {
	row, l := f.Row(y), layouts[f.Layout]
	step := l.channels * l.bytes
	for x := range f.Width {
		p := row[step*x:][:step]
		switch l.channels {
		case 1, 2:
			to[4*x], to[4*x+1], to[4*x+2], to[4*x+3] = p[0], p[0], p[0], 255
		default:
			to[4*x], to[4*x+1], to[4*x+2], to[4*x+3] = p[0], p[l.bytes], p[2*l.bytes], 255
		}
		if l.channels == 2 || l.channels == 4 {
			to[4*x+3] = p[step-l.bytes]
		}
	}
}
