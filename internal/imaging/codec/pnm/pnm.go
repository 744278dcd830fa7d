// Package pnm decodes Netpbm's formats: PBM, PGM and PPM as text and as bytes, PAM and PFM. Rows that are missing stay
// black.
package pnm

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"

	"comfygo/internal/imaging/codec"
)

func init() {
	codec.Register(codec.Format{
		Name: "pnm", Extensions: []string{"ppm", "pgm", "pbm", "pnm", "pam", "pfm"},
		Sniff: func(data []byte) bool {
			return len(data) > 3 && data[0] == 'P' && bytes.IndexByte([]byte("1234567fF"), data[1]) >= 0 && space(data[2])
		},
		Probe: func(data []byte) (codec.Info, error) {
			h, err := parse(data)
			if err != nil {
				return codec.Info{}, err
			}
			size := int64(max(h.layout.Bytes(), 1))
			return codec.Info{Width: h.width, Height: h.height, Frames: 1, Layout: h.layout, Working: int64(h.width) * int64(h.height) * size}, nil
		},
		Decode: decode,
	})
}

// header is the data before the samples.
type header struct {
	kind          byte
	width, height int
	channels      int
	most          int // the largest sample
	scale         float64
	layout        codec.Layout
	rest          []byte
}

func space(c byte) bool {
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f'
}

// word cuts the next word off; comments are passed over, and one byte of white space behind it.
func word(data []byte) (w string, rest []byte) {
	for len(data) > 0 && (space(data[0]) || data[0] == '#') {
		if data[0] == '#' {
			i := bytes.IndexByte(data, '\n')
			if i < 0 {
				return "", nil
			}
			data = data[i:]
		}
		data = data[1:]
	}
	i := 0
	for i < len(data) && !space(data[i]) && i < 64 {
		i++
	}
	return string(data[:i]), data[min(i+1, len(data)):]
}

func (h *header) number(what string) (int, error) {
	w, rest := word(h.rest)
	h.rest = rest
	n, err := strconv.Atoi(w)
	if err != nil || n < 1 || n > 1<<30 {
		return 0, fmt.Errorf("its %s is %q", what, w)
	}
	return n, nil
}

func parse(data []byte) (*header, error) {
	if len(data) < 3 {
		return nil, errors.New("its header ends early")
	}
	h := &header{kind: data[1], channels: 1, most: 1, rest: data[2:]}
	if h.kind == '7' {
		if err := h.parsePAM(); err != nil {
			return nil, err
		}
		return h, h.choose()
	}
	var err error
	if h.width, err = h.number("width"); err != nil {
		return nil, err
	}
	if h.height, err = h.number("height"); err != nil {
		return nil, err
	}
	switch h.kind {
	case '1', '4':
		h.layout = codec.Bilevel
		return h, nil
	case 'f', 'F':
		w, rest := word(h.rest)
		if h.scale, err = strconv.ParseFloat(w, 64); err != nil || h.scale == 0 || math.IsNaN(h.scale) {
			return nil, fmt.Errorf("its scale is %q", w)
		}
		h.rest, h.layout = rest, codec.LimitedGrayFloat
		if h.kind == 'F' {
			h.layout, h.channels = codec.RGBFloat, 3
		}
		return h, nil
	case '3', '6':
		h.channels = 3
	}
	if h.most, err = h.number("largest value"); err != nil {
		return nil, err
	}
	return h, h.choose()
}

func (h *header) parsePAM() error {
	var err error
	for range 64 {
		var w string
		w, h.rest = word(h.rest)
		switch w {
		case "WIDTH":
			h.width, err = h.number("width")
		case "HEIGHT":
			h.height, err = h.number("height")
		case "DEPTH":
			h.channels, err = h.number("depth")
		case "MAXVAL":
			h.most, err = h.number("largest value")
		case "TUPLTYPE":
			_, h.rest = word(h.rest)
		case "ENDHDR":
			return nil
		case "":
			return errors.New("its header ends early")
		}
		if err != nil {
			return err
		}
	}
	return errors.New("its header does not end")
}

// choose finds the layout by channels and the largest value.
func (h *header) choose() error {
	if h.most > 65535 || h.channels > 4 {
		return fmt.Errorf("%d channels up to %d are not supported", h.channels, h.most)
	}
	eight := [...]codec.Layout{1: codec.Gray8, 2: codec.GrayAlpha8, 3: codec.RGB8, 4: codec.RGBA8}
	sixteen := [...]codec.Layout{1: codec.Gray16, 2: codec.GrayAlpha16, 3: codec.RGB16, 4: codec.RGBA16}
	if h.layout = eight[h.channels]; h.most > 255 {
		h.layout = sixteen[h.channels]
	}
	return nil
}

func decode(ctx context.Context, data []byte, _ codec.Info, emit func(*codec.Frame) error) error {
	h, err := parse(data)
	if err != nil {
		return err
	}
	if len(h.rest) == 0 {
		return errors.New("there are no samples in it")
	}
	f := &codec.Frame{Width: h.width, Height: h.height, Layout: h.layout}
	if h.scale != 0 {
		f.Float = make([]float32, h.width*h.height*h.channels)
	} else {
		f = codec.NewFrame(h.width, h.height, h.layout)
	}
	for y := range h.height {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !h.row(f, y) {
			break // the rows that are there can be seen
		}
	}
	return emit(f)
}

// row reads one row; false if it is missing.
func (h *header) row(f *codec.Frame, y int) bool {
	switch {
	case h.scale != 0:
		return h.floats(f.Float[(h.height-1-y)*h.width*h.channels:][:h.width*h.channels])
	case h.kind >= '1' && h.kind <= '3':
		return h.texts(f.Row(y))
	case h.kind == '4':
		return h.bits(f.Row(y))
	}
	to := f.Row(y)
	n := h.width * h.channels
	size := n
	if h.most > 255 {
		size = 2 * n
	}
	row := h.rest[:min(size, len(h.rest))]
	if len(row) < size {
		return false // upstream shows whole rows
	}
	h.rest = h.rest[size:]
	if h.most == 255 || h.most == 65535 {
		copy(to, row)
		return true
	}
	for i := range n {
		if h.most < 255 {
			to[i] = h.to8(int(row[i]))
		} else {
			h.put16(to[2*i:], int(binary.BigEndian.Uint16(row[2*i:])))
		}
	}
	return true
}

// to8 converts a sample to 0…255, put16 to 0…65535.
func (h *header) to8(v int) byte {
	const bits = 7 // FFmpeg's fixed point
	factor := (255<<bits + h.most/2) / h.most
	return byte(min((min(v, h.most)*factor+1<<(bits-1))>>bits, 255))
}

func (h *header) put16(to []byte, v int) {
	binary.BigEndian.PutUint16(to, uint16((min(v, h.most)*65535+h.most/2)/h.most))
}

// bits reads a row of packed bits; 1 is black.
func (h *header) bits(to []byte) bool {
	size := (h.width + 7) / 8
	if len(h.rest) < size {
		return false
	}
	for x := range to {
		if h.rest[x/8]>>(7-x%8)&1 == 0 {
			to[x] = 255
		}
	}
	h.rest = h.rest[size:]
	return true
}

func (h *header) texts(to []byte) bool {
	for i := range h.width * h.channels {
		v := 0
		if h.kind == '1' { // digits need no space between them
			for len(h.rest) > 0 && h.rest[0] != '0' && h.rest[0] != '1' {
				h.rest = h.rest[1:]
			}
			if len(h.rest) == 0 {
				return false
			}
			if to[i] = 255; h.rest[0] == '1' {
				to[i] = 0
			}
			h.rest = h.rest[1:]
			continue
		}
		w, rest := word(h.rest)
		n, err := strconv.Atoi(w)
		if err != nil {
			return false
		}
		if v, h.rest = max(n, 0), rest; h.most > 255 {
			h.put16(to[2*i:], v)
		} else {
			to[i] = h.to8(v)
		}
	}
	return true
}

// floats reads a row of a PFM; a negative scale means little endian; rows go upwards.
func (h *header) floats(to []float32) bool {
	if len(h.rest) < 4*len(to) {
		return false
	}
	for i := range to {
		v := binary.BigEndian.Uint32(h.rest[4*i:])
		if h.scale < 0 {
			v = binary.LittleEndian.Uint32(h.rest[4*i:])
		}
		to[i] = math.Float32frombits(v)
	}
	h.rest = h.rest[4*len(to):]
	return true
}
