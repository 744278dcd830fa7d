package imaging

import (
	"bytes"
	"encoding/binary"
	"image"

	"golang.org/x/image/bmp"
)

// decodeBMP takes the fourth byte of 32-bit pixels as transparency whatever the header's version is, unless it is 0
// everywhere, as FFmpeg does.
func decodeBMP(data []byte) ([]image.Image, error) {
	img, err := bmp.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	if n, ok := img.(*image.NRGBA); ok && !bmpAlpha(n, data) {
		img = &image.RGBA{Pix: n.Pix, Stride: n.Stride, Rect: n.Rect}
	}
	return []image.Image{img}, nil
}

// bmpAlpha reads the transparency of an uncompressed picture with 32 bits a pixel, which bmp.Decode has found whole, and tells
// whether there is any.
func bmpAlpha(img *image.NRGBA, data []byte) bool {
	pixels := data[binary.LittleEndian.Uint32(data[10:]):]
	h := img.Rect.Dy()
	topDown := int32(binary.LittleEndian.Uint32(data[22:])) < 0
	alpha := byte(0)
	for i := 3; i < len(img.Pix); i += 4 {
		alpha |= pixels[i]
	}
	for y := range h {
		from := y
		if !topDown {
			from = h - 1 - y
		}
		row := img.Pix[y*img.Stride:][:4*img.Rect.Dx()]
		for i := 3; i < len(row); i += 4 {
			row[i] = 255
			if alpha != 0 {
				row[i] = pixels[from*img.Stride+i]
			}
		}
	}
	return alpha != 0
}
