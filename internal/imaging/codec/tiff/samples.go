package tiff

import (
	"math"

	"comfygo/internal/imaging/codec"
)

// put writes a row of a piece to its place in the frame.
func (f *file) put(to *codec.Frame, row []byte, plane, left, y int) {
	n := min(f.pieceWidth, f.width-left)
	channels := f.layout.Channels()
	switch {
	case f.photometric == cmyk && !f.planar:
		f.putCMYK(to, row, left, y, n)
		return
	case f.planar:
		if plane < channels && f.photometric != cmyk {
			for x := range n {
				f.putSample(to, row, x, (y*f.width+left+x)*channels+plane)
			}
		}
		return
	case f.bits == 8 && f.samples == channels && f.photometric != whiteIsZero:
		copy(to.Row(y)[left*channels:], row[:n*channels])
		return
	}
	for x := range n {
		for c := range channels {
			f.putSample(to, row, x*f.samples+c, (y*f.width+left+x)*channels+c)
		}
	}
}

// putSample writes sample number i of a row to value number at of the frame.
func (f *file) putSample(to *codec.Frame, row []byte, i, at int) {
	invert := f.photometric == whiteIsZero
	switch f.bits {
	case 32:
		v := math.Float32frombits(f.order.Uint32(row[4*i:]))
		if invert {
			v = 1 - v
		}
		to.Float[at] = v
	case 16:
		v := f.order.Uint16(row[2*i:])
		if invert {
			v = ^v
		}
		to.Pix[2*at], to.Pix[2*at+1] = byte(v>>8), byte(v)
	case 8:
		v := row[i]
		if invert {
			v = ^v
		}
		to.Pix[at] = v
	default:
		v := row[i*f.bits/8] >> (8 - f.bits - i*f.bits%8) & (1<<f.bits - 1)
		if f.photometric != palette {
			v *= byte(255 / (1<<f.bits - 1))
		}
		if invert {
			v = ^v
		}
		to.Pix[at] = v
	}
}

// putCMYK makes RGB of CMYK as FFmpeg does.
func (f *file) putCMYK(to *codec.Frame, row []byte, left, y, n int) {
	out := to.Row(y)[left*f.layout.Bytes():]
	for x := range n {
		if f.bits == 8 {
			p := row[x*f.samples:]
			k := 255 - uint32(p[3])
			for c := range 3 {
				out[3*x+c] = byte((255 - uint32(p[c])) * k * 257 >> 16)
			}
			continue
		}
		at := func(c int) uint64 { return 65535 - uint64(f.order.Uint16(row[2*(x*f.samples+c):])) }
		for c := range 3 {
			v := at(c) * at(3) / 65535
			out[6*x+2*c], out[6*x+2*c+1] = byte(v>>8), byte(v)
		}
	}
}
