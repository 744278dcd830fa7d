package imaging

import (
	"context"

	"comfygo/internal/imaging/codec"
)

// OpenRGB decodes the first frame of an image file to the interleaved RGB bytes that Pillow's Image.open and convert("RGB")
// give: alpha is dropped, 16-bit gray is cut off at 255, 16-bit colors lose the lower 8 bits, EXIF's orientation is not
// applied.
func (s Source) OpenRGB(ctx context.Context) (pix []byte, width, height int, err error) {
	const channels = 3
	return s.open(ctx, channels)
}

// OpenRGBA is OpenRGB for convert("RGBA"): with alpha, by which colors are not weighted.
func (s Source) OpenRGBA(ctx context.Context) (pix []byte, width, height int, err error) {
	const channels = 4
	return s.open(ctx, channels)
}

func (s Source) open(ctx context.Context, channels int) (pix []byte, width, height int, err error) {
	extra := func(f *codec.File) int64 { return int64(f.Width) * int64(f.Height) * int64(channels) }
	err = s.first(ctx, 0, extra, func(_ *codec.File, frame *codec.Frame) error {
		width, height = frame.Width, frame.Height
		pix = make([]byte, channels*width*height)
		rows, pixels := rowsOf(ctx, frame), make([]byte, 4*width)
		for y := range height {
			if err := rows.read(y, pixels); err != nil {
				return err
			}
			if frame.Layout == codec.Gray16 {
				cutGray(pixels, frame.Row(y))
			}
			to := pix[channels*y*width:][:channels*width]
			for x := range width {
				copy(to[channels*x:channels*(x+1)], pixels[4*x:])
			}
		}
		return nil
	})
	return pix, width, height, err
}

// cutGray writes 16-bit gray as opaque RGBA, cut off at 255.
func cutGray(to, row []byte) {
	for x := range len(row) / 2 {
		v := row[2*x+1]
		if row[2*x] > 0 {
			v = 255
		}
		to[4*x], to[4*x+1], to[4*x+2], to[4*x+3] = v, v, v, 255
	}
}
