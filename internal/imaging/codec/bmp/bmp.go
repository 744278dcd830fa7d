// Package bmp decodes Windows and OS/2 bitmaps with 1 to 32 bits a pixel, run lengths and bit masks, damaged ones as far as
// they go.
package bmp

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image/color"
	"math/bits"

	"comfygo/internal/imaging/codec"
)

func init() {
	codec.Register(codec.Format{
		Name: "bmp", Extensions: []string{"bmp", "dib"},
		Sniff:  func(data []byte) bool { return len(data) >= 26 && data[0] == 'B' && data[1] == 'M' },
		Probe:  func(data []byte) (codec.Info, error) { h, err := parse(data); return h.info(), err },
		Decode: decode,
	})
}

// Kinds of compression.
const (
	plain      = 0
	runs8      = 1
	runs4      = 2
	masks      = 3
	masksAlpha = 6
)

// header holds the data of the headers.
type header struct {
	width, height int
	topDown       bool
	bits          int
	compression   uint32
	masks         [4]uint32 // red, green, blue, alpha
	palette       []color.NRGBA
	pixels        []byte
	layout        codec.Layout
}

func parse(data []byte) (h header, err error) {
	if len(data) < 26 {
		return h, errors.New("its header ends early")
	}
	at := int64(binary.LittleEndian.Uint32(data[10:]))
	size := int64(binary.LittleEndian.Uint32(data[14:]))
	b := data[14:]
	entry := 4 // bytes of a palette's color
	if size == 12 {
		h.width, h.height = int(binary.LittleEndian.Uint16(b[4:])), int(int16(binary.LittleEndian.Uint16(b[6:])))
		h.bits, entry = int(binary.LittleEndian.Uint16(b[10:])), 3
	} else {
		if size < 40 || len(b) < 40 {
			return h, fmt.Errorf("its header has %d bytes", size)
		}
		h.width, h.height = int(int32(binary.LittleEndian.Uint32(b[4:]))), int(int32(binary.LittleEndian.Uint32(b[8:])))
		h.bits, h.compression = int(binary.LittleEndian.Uint16(b[14:])), binary.LittleEndian.Uint32(b[16:])
	}
	if h.height < 0 {
		h.height, h.topDown = -h.height, true
	}
	if err := h.parseMasks(b, size); err != nil {
		return h, err
	}
	h.parsePalette(data, 14+size, at, entry)
	h.pixels = data[min(at, int64(len(data))):]
	switch {
	case h.bits <= 8:
		h.layout = codec.Palette8
	case h.masks[3] != 0 && h.anyAlpha():
		h.layout = codec.PackedAlpha8
	default:
		h.layout = codec.Packed8
	}
	return h, nil
}

// parseMasks checks depth and compression and finds where the colors lie in a pixel of 16 to 32 bits.
func (h *header) parseMasks(b []byte, size int64) error {
	switch {
	case h.compression == runs8 && h.bits == 8, h.compression == runs4 && h.bits == 4:
		return nil
	case h.compression == masks || h.compression == masksAlpha:
		if h.bits != 16 && h.bits != 32 || len(b) < 52 {
			return errors.New("its masks do not fit its pixels")
		}
		for i := range 3 {
			h.masks[i] = binary.LittleEndian.Uint32(b[40+4*i:])
		}
		if (size >= 56 || h.compression == masksAlpha) && len(b) >= 56 {
			h.masks[3] = binary.LittleEndian.Uint32(b[52:])
		}
		return nil
	case h.compression != plain:
		return fmt.Errorf("compression %d of %d bits is not supported", h.compression, h.bits)
	}
	switch h.bits {
	case 1, 2, 4, 8, 24:
	case 16:
		h.masks = [4]uint32{0x7c00, 0x3e0, 0x1f}
	case 32:
		// The fourth byte is alpha whatever the header's version is, unless it is 0 everywhere, as FFmpeg has it.
		h.masks = [4]uint32{0xff0000, 0xff00, 0xff, 0xff000000}
	default:
		return fmt.Errorf("%d bits a pixel", h.bits)
	}
	return nil
}

func (h *header) parsePalette(data []byte, from, to int64, entry int) {
	if h.bits > 8 {
		return
	}
	n := int64(1) << h.bits
	if to > from {
		n = min(n, (to-from)/int64(entry))
	}
	for i := range n {
		at := from + i*int64(entry)
		if at+3 > int64(len(data)) {
			return
		}
		h.palette = append(h.palette, color.NRGBA{B: data[at], G: data[at+1], R: data[at+2], A: 255})
	}
}

// stride is the number of bytes of a stored row.
func (h *header) stride() int { return (h.width*h.bits + 31) / 32 * 4 }

// anyAlpha reports whether a pixel has alpha.
func (h *header) anyAlpha() bool {
	step := h.bits / 8
	for p := h.pixels; len(p) >= step; p = p[step:] {
		if h.value(p)&h.masks[3] != 0 {
			return true
		}
	}
	return false
}

// value is the pixel that bytes begin with.
func (h *header) value(p []byte) uint32 {
	if h.bits == 16 {
		return uint32(binary.LittleEndian.Uint16(p))
	}
	return binary.LittleEndian.Uint32(p)
}

func (h *header) info() codec.Info {
	return codec.Info{Width: h.width, Height: h.height, Frames: 1, Layout: h.layout, Working: int64(h.width) * int64(h.height) * int64(h.layout.Bytes())}
}

func decode(ctx context.Context, data []byte, _ codec.Info, emit func(*codec.Frame) error) error {
	h, err := parse(data)
	if err != nil {
		return err
	}
	if len(h.pixels) == 0 {
		return errors.New("there are no pixels in it")
	}
	f := codec.NewFrame(h.width, h.height, h.layout)
	f.Palette = h.palette
	if h.compression == runs8 || h.compression == runs4 {
		h.runs(f)
		return emit(f)
	}
	stride := h.stride()
	for i := range h.height {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if len(h.pixels) < (i+1)*stride {
			if i == 0 {
				return errors.New("there is no row in it")
			}
			break // the rows that are there can be seen
		}
		h.row(f.Row(h.place(i)), h.pixels[i*stride:])
	}
	return emit(f)
}

// place is the row of the image that is stored as number i.
func (h *header) place(i int) int {
	if h.topDown {
		return i
	}
	return h.height - 1 - i
}

func (h *header) row(to, from []byte) {
	switch {
	case h.bits <= 8:
		for x := range h.width {
			shift := 8 - h.bits - x*h.bits%8
			to[x] = from[x*h.bits/8] >> shift & (1<<h.bits - 1)
		}
	case h.bits == 24:
		for x := range h.width {
			to[3*x], to[3*x+1], to[3*x+2] = from[3*x+2], from[3*x+1], from[3*x]
		}
	default:
		n, step := h.layout.Channels(), h.bits/8
		for x := range h.width {
			v := h.value(from[x*step:])
			for c := range n {
				to[n*x+c] = part(v, h.masks[c])
			}
		}
	}
}

// part converts the bits of a mask to 8, repeating the upper ones.
func part(v, mask uint32) byte {
	if mask == 0 {
		return 0
	}
	n := bits.OnesCount32(mask)
	v = v & mask >> bits.TrailingZeros32(mask)
	if n >= 8 {
		return byte(v >> (n - 8))
	}
	out := uint32(0)
	for have := 0; have < 8; have += n {
		if left := 8 - have; left >= n {
			out |= v << (left - n)
		} else {
			out |= v >> (n - left)
		}
	}
	return byte(out)
}
