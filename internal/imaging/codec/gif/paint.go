package gif

import (
	"compress/lzw"
	"context"
	"errors"
	"fmt"
	"image"
	"io"

	"comfygo/internal/imaging/codec"
)

// blocks reads the contents of sub-blocks one after the other.
type blocks struct {
	data []byte
	left int
}

// ReadByte makes it the source of a decompressor.
func (b *blocks) ReadByte() (byte, error) {
	if b.left == 0 {
		if len(b.data) == 0 || b.data[0] == 0 {
			return 0, io.EOF
		}
		b.left, b.data = int(b.data[0]), b.data[1:]
	}
	if len(b.data) == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	v := b.data[0]
	b.data = b.data[1:]
	b.left--
	return v, nil
}

// Read reads at most one byte, as decompressors read by bytes.
func (b *blocks) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	v, err := b.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = v
	return 1, nil
}

// paint draws the visible pixels of a frame on the canvas. If its data ends early, the available rows are painted; no row
// at all is an error.
func (f *frame) paint(ctx context.Context, canvas *codec.Canvas, size image.Rectangle) error {
	const least, most = 2, 8
	if f.literals < least || f.literals > most {
		return fmt.Errorf("codes of %d bits", f.literals)
	}
	r := lzw.NewReader(&blocks{data: f.data}, lzw.LSB, int(f.literals))
	defer r.Close() //nolint:errcheck // it holds nothing
	colors := f.colors()
	row := make([]byte, f.at.Dx())
	pixels := 0
	for i := range f.at.Dy() {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, err := io.ReadFull(r, row)
		pixels += n
		if y := f.at.Min.Y + f.row(i); y < size.Max.Y && (err == nil || i == 0) { // upstream shows whole rows
			canvas.Paint(f.at.Min.X, y, row[:n], &colors)
		}
		if err != nil {
			if pixels == 0 {
				return errors.Join(errors.New("there are no pixels in a frame"), err)
			}
			return nil
		}
	}
	return nil
}

// colors are those of all indices; one beyond the palette is not visible.
func (f *frame) colors() (out [256][4]byte) {
	for i, c := range f.palette {
		if i < len(out) && i != f.transparent {
			out[i] = [4]byte{c.R, c.G, c.B, 255}
		}
	}
	return out
}

// row is the row of the frame that is stored as number i.
func (f *frame) row(i int) int {
	if !f.interlaced {
		return i
	}
	for _, p := range []struct{ first, step int }{{0, 8}, {4, 8}, {2, 4}, {1, 2}} {
		n := max(0, (f.at.Dy()-p.first+p.step-1)/p.step)
		if i < n {
			return p.first + i*p.step
		}
		i -= n
	}
	return 0
}
