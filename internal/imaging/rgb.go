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
	extra := func(f *codec.File) int64 { return int64(f.Width) * int64(f.Height) * channels }
	err = s.first(ctx, 0, extra, func(_ *codec.File, frame *codec.Frame) error {
		width, height = frame.Width, frame.Height
		pix = make([]byte, channels*width*height)
		rows, pixels := rowsOf(ctx, frame), make([]byte, 4*width)
		for y := range height {
			if err := rows.read(y, pixels); err != nil {
				return err
			}
			to := pix[channels*y*width:][:channels*width]
			if frame.Layout == codec.Gray16 {
				cutGray(to, frame.Row(y))
				continue
			}
			for x := range width {
				copy(to[channels*x:channels*(x+1)], pixels[4*x:])
			}
		}
		return nil
	})
	return pix, width, height, err
}

// cutGray writes 16-bit gray as RGB, cut off at 255.
func cutGray(to, row []byte) {
	for x := range len(row) / 2 {
		v := row[2*x+1]
		if row[2*x] > 0 {
			v = 255
		}
		to[3*x], to[3*x+1], to[3*x+2] = v, v, v
	}
}
