package png

import (
	"compress/zlib"
	"context"
	"errors"
	"io"

	"comfygo/internal/imaging/codec"
)

// partsReader reads the bodies of chunks one after the other.
type partsReader struct{ parts [][]byte }

func (r *partsReader) Read(p []byte) (int, error) {
	for len(r.parts) > 0 && len(r.parts[0]) == 0 {
		r.parts = r.parts[1:]
	}
	if len(r.parts) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.parts[0])
	r.parts[0] = r.parts[0][n:]
	return n, nil
}

// ReadByte spares the decompressor a buffer.
func (r *partsReader) ReadByte() (byte, error) {
	var b [1]byte
	if _, err := r.Read(b[:]); err != nil {
		return 0, err
	}
	return b[0], nil
}

// pass is one of Adam7's: the first pixel and the distances between them.
type pass struct{ x, y, dx, dy int }

var adam7 = [passesOfAdam7]pass{{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}}

// pixels decodes into a frame of the header's layout. Rows that are missing stay zero; no row at all is an error. whole is
// false when some are missing.
func (h *header) pixels(ctx context.Context, to *codec.Frame, parts [][]byte) (whole bool, err error) {
	z, err := zlib.NewReader(&partsReader{parts: append([][]byte(nil), parts...)})
	if err != nil {
		return false, err
	}
	defer z.Close() //nolint:errcheck // the checksum is not compared
	to.Palette, to.Mode = h.colors(), h.mode()
	to.Clear = h.clear()
	passes := []pass{{0, 0, 1, 1}}
	if h.interlaced {
		passes = adam7[:]
	}
	rows := 0
	for _, p := range passes {
		n, err := h.rows(ctx, z, to, p)
		rows += n
		if cause := context.Cause(ctx); cause != nil {
			return false, cause
		}
		if err != nil {
			if rows == 0 {
				return false, err
			}
			return false, nil // what there is can be seen
		}
	}
	return true, nil
}

// rows decodes the rows of one pass and returns how many there were.
func (h *header) rows(ctx context.Context, r io.Reader, to *codec.Frame, p pass) (int, error) {
	w, n := (to.Width-p.x+p.dx-1)/p.dx, (to.Height-p.y+p.dy-1)/p.dy
	if to.Width <= p.x || to.Height <= p.y {
		return 0, nil
	}
	size, step := (w*h.bits()+7)/8, max(h.bits()/8, 1)
	line, above := make([]byte, 1+size), make([]byte, size)
	for y := range n {
		if ctx.Err() != nil {
			return y, context.Cause(ctx)
		}
		got, err := io.ReadFull(r, line)
		if err != nil && got < 2 {
			return y, err
		}
		clear(line[got:])
		if bad := unfilter(line[0], line[1:], above, step); bad != nil {
			return y, bad
		}
		if err != nil { // upstream shows whole rows
			return y, err
		}
		h.unpack(line[1:], to, p, p.y+y*p.dy, w)
		copy(above, line[1:])
	}
	return n, nil
}

var errFilter = errors.New("there is an unknown filter in it")

// unfilter restores a row in place (PNG, third edition, 9.2).
func unfilter(kind byte, row, above []byte, step int) error {
	switch kind {
	case 0:
	case 1:
		for i := step; i < len(row); i++ {
			row[i] += row[i-step]
		}
	case 2:
		for i, b := range above {
			row[i] += b
		}
	case 3:
		for i := range min(step, len(row)) {
			row[i] += above[i] / 2
		}
		for i := step; i < len(row); i++ {
			row[i] += byte((int(row[i-step]) + int(above[i])) / 2)
		}
	case 4:
		for i := range min(step, len(row)) {
			row[i] += above[i]
		}
		for i := step; i < len(row); i++ {
			row[i] += paeth(row[i-step], above[i], above[i-step])
		}
	default:
		return errFilter
	}
	return nil
}

func paeth(a, b, c byte) byte {
	pa, pb := int(b)-int(c), int(a)-int(c)
	pc := pa + pb
	pa, pb, pc = max(pa, -pa), max(pb, -pb), max(pc, -pc)
	switch {
	case pa <= pb && pa <= pc:
		return a
	case pb <= pc:
		return b
	}
	return c
}
