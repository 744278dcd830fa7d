package png

import (
	"bytes"
	"image/color"

	"comfygo/internal/imaging/codec"
)

// unpack writes the pixels of a row of the file, w of them, to their places in the frame.
func (h *header) unpack(row []byte, to *codec.Frame, p pass, y, w int) {
	out := to.Row(y)
	size := to.Layout.Bytes()
	stored := h.bits() / 8
	if h.depth >= 8 && stored == size && p.dx == 1 {
		copy(out, row)
		return
	}
	for x := range w {
		at := out[(p.x+x*p.dx)*size:][:size]
		switch {
		case h.depth < 8:
			h.unpackBits(at, row, x)
		default:
			v := row[x*stored:][:stored]
			copy(at, v)
			if stored < size { // a transparent color
				fillAlpha(at[stored:], v, h.trns, h.depth)
			}
		}
	}
}

// unpackBits takes a sample of less than 8 bits; gray is brought to 8.
func (h *header) unpackBits(to, row []byte, x int) {
	d := int(h.depth)
	v := row[x*d/8] >> (8 - d - x*d%8) & (1<<d - 1)
	if h.kind == typePalette {
		to[0] = v
		return
	}
	to[0] = v * (255 / (1<<d - 1))
	if len(to) == 2 {
		to[1] = 255
		if len(h.trns) >= 2 && h.trns[1] == v {
			to[1] = 0
		}
	}
}

// fillAlpha makes pixels opaque that do not have the transparent color, whose samples have two bytes each.
func fillAlpha(to, v, trns []byte, depth byte) {
	alpha := byte(255)
	if depth == 16 && bytes.HasPrefix(trns, v) {
		alpha = 0
	}
	if depth == 8 && len(trns) >= 2*len(v) {
		same := true
		for i, s := range v {
			same = same && trns[2*i+1] == s
		}
		if same {
			alpha = 0
		}
	}
	for i := range to {
		to[i] = alpha
	}
}

// colors is the palette with its alpha.
func (h *header) colors() []color.NRGBA {
	for i, a := range h.trns {
		if h.kind == typePalette && i < len(h.palette) {
			h.palette[i].A = a
		}
	}
	return h.palette
}

// clear is the one color that the file declares transparent, in 8 bits. A palette with more transparency than that cannot
// say it in one color.
func (h *header) clear() *[3]uint8 {
	at := func(i int) uint8 {
		if h.depth == 16 {
			return h.trns[2*i]
		}
		return h.trns[2*i+1]
	}
	switch {
	case h.kind == typeGray && len(h.trns) >= 2:
		return &[3]uint8{at(0), at(0), at(0)}
	case h.kind == typeRGB && len(h.trns) >= 6:
		return &[3]uint8{at(0), at(1), at(2)}
	case h.kind == typePalette:
		return h.clearIndex()
	}
	return nil
}

func (h *header) clearIndex() *[3]uint8 {
	found := -1
	for i, a := range h.trns {
		switch {
		case a == 0 && found < 0:
			found = i
		case a != 255:
			return nil
		}
	}
	if found < 0 || found >= len(h.palette) {
		return nil
	}
	c := h.palette[found]
	return &[3]uint8{c.R, c.G, c.B}
}
