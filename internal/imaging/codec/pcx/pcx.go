// Package pcx decodes ZSoft's PCX files with 1 to 8 bits and 1 to 4 planes. Rows that are missing stay black.
package pcx

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
		Name: "pcx", Extensions: []string{"pcx"},
		Sniff: func(data []byte) bool {
			return len(data) > headerSize && data[0] == 10 && data[1] <= 5 && data[2] <= 1 && (data[3] == 1 || data[3] == 2 || data[3] == 4 || data[3] == 8)
		},
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

const headerSize = 128

type header struct {
	width, height int
	bits, planes  int
	stride        int // bytes of a row of one plane
	runs          bool
	palette       []color.NRGBA
	layout        codec.Layout
	data          []byte
}

func parse(data []byte) (*header, error) {
	if len(data) <= headerSize {
		return nil, errors.New("its header ends early")
	}
	at := func(i int) int { return int(binary.LittleEndian.Uint16(data[i:])) }
	h := &header{
		width: at(8) - at(4) + 1, height: at(10) - at(6) + 1, bits: int(data[3]), planes: int(data[65]), stride: at(66),
		runs: data[2] == 1, data: data[headerSize:],
	}
	if h.width < 1 || h.height < 1 || h.stride*8 < h.width*h.bits {
		return nil, fmt.Errorf("its size is %dx%d with %d bytes a row", h.width, h.height, h.stride)
	}
	switch {
	case h.bits == 8 && h.planes == 3:
		h.layout = codec.RGB8
	case h.planes == 1, h.bits == 1 && h.planes <= 4 && h.planes > 0:
		h.layout = codec.Palette8
	default:
		return nil, fmt.Errorf("%d planes of %d bits are not supported", h.planes, h.bits)
	}
	h.palette = colors(data[16:64])
	const large = 769
	if end := len(data) - large; h.bits == 8 && end >= headerSize && data[end] == 12 {
		h.palette = colors(data[end+1:])
	}
	if h.bits == 1 && h.planes == 1 {
		h.palette = []color.NRGBA{{A: 255}, {R: 255, G: 255, B: 255, A: 255}}
	}
	return h, nil
}

func colors(b []byte) []color.NRGBA {
	out := make([]color.NRGBA, len(b)/3)
	for i := range out {
		out[i] = color.NRGBA{R: b[3*i], G: b[3*i+1], B: b[3*i+2], A: 255}
	}
	return out
}

func decode(ctx context.Context, data []byte, _ codec.Info, emit func(*codec.Frame) error) error {
	h, err := parse(data)
	if err != nil {
		return err
	}
	f := codec.NewFrame(h.width, h.height, h.layout)
	f.Palette = h.palette
	row := make([]byte, h.stride*h.planes)
	for y := range h.height {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		whole := h.read(row)
		h.put(f.Row(y), row)
		if !whole {
			break // what is there can be seen
		}
	}
	return emit(f)
}

// read unpacks one row of all planes; runs end with the row. False when the data ends before, which leaves what the
// row held, as in FFmpeg.
func (h *header) read(row []byte) bool {
	if !h.runs {
		n := copy(row, h.data)
		h.data = h.data[n:]
		return n == len(row)
	}
	for i := 0; i < len(row); {
		if len(h.data) == 0 {
			return false
		}
		v, n := h.data[0], 1
		h.data = h.data[1:]
		if v >= 0xc0 {
			if len(h.data) == 0 {
				return false
			}
			n, v = int(v&0x3f), h.data[0]
			h.data = h.data[1:]
		}
		for range min(n, len(row)-i) {
			row[i] = v
			i++
		}
	}
	return true
}

func (h *header) put(to, row []byte) {
	if h.layout == codec.RGB8 {
		for x := range h.width {
			to[3*x], to[3*x+1], to[3*x+2] = row[x], row[h.stride+x], row[2*h.stride+x]
		}
		return
	}
	for x := range h.width {
		v := byte(0)
		for p := range h.planes {
			shift := 8 - h.bits - x*h.bits%8
			v |= row[p*h.stride+x*h.bits/8] >> shift & (1<<h.bits - 1) << p
		}
		to[x] = v
	}
}
