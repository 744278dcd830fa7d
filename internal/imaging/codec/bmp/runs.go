package bmp

import "comfygo/internal/imaging/codec"

// runs decodes run lengths of 4 or 8 bits until the data or the image ends.
func (h *header) runs(f *codec.Frame) {
	x, y := 0, 0
	put := func(v byte) {
		if x < h.width && y < h.height {
			f.Row(h.place(y))[x] = v
		}
		x++
	}
	pixel := func(b []byte, i int) byte {
		if h.bits == 8 {
			return b[i]
		}
		return b[i/2] >> (4 - 4*(i%2)) & 15
	}
	for p := h.pixels; len(p) >= 2 && y < h.height; {
		n, v := int(p[0]), p[1]
		p = p[2:]
		switch {
		case n > 0:
			pair := []byte{v, v}
			for i := range n {
				put(pixel(pair[:], i%2))
			}
		case v == 0: // the row ends
			x, y = 0, y+1
		case v == 1: // the image ends
			return
		case v == 2: // pixels are passed over
			if len(p) < 2 {
				return
			}
			x, y, p = x+int(p[0]), y+int(p[1]), p[2:]
		default: // pixels one by one
			size := (int(v)*h.bits + 7) / 8
			if len(p) < size {
				return
			}
			for i := range int(v) {
				put(pixel(p, i))
			}
			p = p[min(size+size%2, len(p)):]
		}
	}
}
