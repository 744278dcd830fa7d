// Package tga decodes Truevision's TGA files: palettes, gray and colors with 8 to 32 bits, plain and by run lengths.
// Pixels that are missing stay black.
package tga

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image/color"

	"comfygo/internal/imaging/codec"
)

func init() {
	codec.Register(codec.Format{
		Name: "tga", Extensions: []string{"tga"}, Weak: true,
		Sniff: func(data []byte) bool { _, err := parse(data); return err == nil },
		Probe: func(data []byte) (codec.Info, error) {
			h, err := parse(data)
			if err != nil {
				return codec.Info{}, err
			}
			return codec.Info{Width: h.width, Height: h.height, Frames: 1, Layout: h.layout, Working: int64(h.width) * int64(h.height) * int64(h.layout.Bytes())}, nil
		},
		Decode: decode,
	})
}

const headerSize = 18

// Types of image.
const (
	typePalette = 1
	typeColor   = 2
	typeGray    = 3
	runLengths  = 8
)

// header is the data before the pixels.
type header struct {
	width, height   int
	kind            byte // without runLengths
	runs            bool
	bytes           int // of a stored pixel
	bottomUp, right bool
	palette         []color.NRGBA
	first           int // index of the palette's first color
	layout          codec.Layout
	pixels          []byte
}

var errHeader = errors.New("its header is not one of TGA")

func parse(data []byte) (*header, error) {
	if len(data) <= headerSize {
		return nil, errHeader
	}
	h := &header{
		kind: data[2] &^ runLengths, runs: data[2]&runLengths != 0, bytes: (int(data[16]) + 7) / 8,
		width: int(binary.LittleEndian.Uint16(data[12:])), height: int(binary.LittleEndian.Uint16(data[14:])),
		bottomUp: data[17]&0x20 == 0, right: data[17]&0x10 != 0,
	}
	colors, entry := int(binary.LittleEndian.Uint16(data[5:])), int(data[7])
	h.first = int(binary.LittleEndian.Uint16(data[3:]))
	if data[1] > 1 || data[17]&0xc0 != 0 || h.width == 0 || h.height == 0 || data[1] == 0 && (colors != 0 || entry != 0 && entry != 24 && entry != 32) {
		return nil, errHeader
	}
	switch bits := data[16]; {
	case h.kind == typePalette && bits == 8 && data[1] == 1 && colors > 0 && colors <= 256:
		h.layout = codec.Palette8
	case h.kind == typeGray && bits == 8:
		h.layout = codec.Gray8
	case h.kind == typeGray && bits == 16:
		h.layout = codec.GrayAlpha8
	case h.kind == typeColor && (bits == 15 || bits == 16 || bits == 24):
		h.layout = codec.Packed8
	case h.kind == typeColor && bits == 32:
		h.layout = codec.PackedAlpha8
	default:
		return nil, errHeader
	}
	rest := data[min(headerSize+int(data[0]), len(data)):]
	if data[1] == 1 {
		size := (entry + 7) / 8
		if size < 2 || size > 4 {
			return nil, fmt.Errorf("%w: colors of %d bits", errHeader, entry)
		}
		if len(rest) < colors*size {
			return nil, errHeader
		}
		if h.layout == codec.Palette8 {
			for i := range colors {
				h.palette = append(h.palette, pixel(rest[i*size:], size))
			}
		}
		rest = rest[colors*size:]
	}
	h.pixels = rest
	return h, nil
}

// pixel is the color that bytes begin with; two are five bits each.
func pixel(b []byte, size int) color.NRGBA {
	switch size {
	case 2:
		v := binary.LittleEndian.Uint16(b)
		five := func(shift int) uint8 { c := uint8(v >> shift & 31); return c<<3 | c>>2 }
		return color.NRGBA{R: five(10), G: five(5), B: five(0), A: 255}
	case 4:
		return color.NRGBA{R: b[2], G: b[1], B: b[0], A: b[3]}
	}
	return color.NRGBA{R: b[2], G: b[1], B: b[0], A: 255}
}

func decode(ctx context.Context, data []byte, _ codec.Info, emit func(*codec.Frame) error) error {
	h, err := parse(data)
	if err != nil {
		return err
	}
	f := codec.NewFrame(h.width, h.height, h.layout)
	f.Palette = h.palette
	r := &reader{header: h}
	for i := range h.height {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		y := i
		if h.bottomUp {
			y = h.height - 1 - i
		}
		if !r.row(f.Row(y)) {
			if i == 0 {
				return errors.New("there is not one pixel in it")
			}
			break // the rows that are there can be seen
		}
	}
	return emit(f)
}

// reader reads pixels, run by run.
type reader struct {
	*header
	left   int
	repeat bool
}

// row reads one row; false if it is missing.
func (r *reader) row(to []byte) bool {
	n := r.layout.Channels()
	for x := range r.width {
		p := r.next()
		if p == nil {
			return x > 0
		}
		at := x
		if r.right {
			at = r.width - 1 - x
		}
		out := to[at*n:][:n]
		switch r.layout {
		case codec.Palette8:
			out[0] = byte(max(0, int(p[0])-r.first))
		case codec.Gray8, codec.GrayAlpha8:
			copy(out, p)
		default:
			c := pixel(p, r.bytes)
			copy(out, []byte{c.R, c.G, c.B, c.A})
		}
	}
	return true
}

// next is the next stored pixel, nil at the end.
func (r *reader) next() []byte {
	if r.runs && r.left == 0 {
		if len(r.pixels) == 0 {
			return nil
		}
		r.left, r.repeat = int(r.pixels[0]&0x7f)+1, r.pixels[0]&0x80 != 0
		r.pixels = r.pixels[1:]
	}
	if len(r.pixels) < r.bytes {
		return nil
	}
	p := r.pixels[:r.bytes]
	if r.left--; !r.runs || !r.repeat || r.left == 0 {
		r.pixels = r.pixels[r.bytes:]
	}
	return p
}
