// Package webp writes WebP images: VP8 key frames, with an alpha plane beside them when asked for.
//
// The encoder is small rather than clever: whole-macroblock prediction, plain rounding, the format's own probabilities.
// Previews need no more. It knows nothing but pixels. Sources: RFC 6386 (VP8) and RFC 9649 (the container).
package webp

import (
	"encoding/binary"
	"fmt"
	"image"
	"io"
)

// maxSide is the most that the format's 14 bits can say.
const maxSide = 16383

// Rows is an image that is read row by row from the top.
type Rows struct {
	Width, Height int
	// Read writes row y as 8-bit RGBA, not premultiplied, to a buffer of 4*Width bytes. An error ends encoding.
	Read func(y int, to []byte) error
}

// Bytes is about what encoding holds at its peak beside the image: planes, with alpha one more, and the output.
func Bytes(width, height int, alpha bool) int64 {
	pixels := int64(width+15) * int64(height+15)
	n := pixels * 3 / 2
	if alpha {
		n += pixels
	}
	return n + pixels/4
}

// Encode writes an image. quality is 1…100; with alpha the image's alpha is kept exactly, without it is ignored.
func Encode(w io.Writer, img *image.NRGBA, quality int, alpha bool) error {
	size := img.Rect.Size()
	return EncodeRows(w, Rows{size.X, size.Y, func(y int, to []byte) error {
		copy(to, img.Pix[y*img.Stride:])
		return nil
	}}, quality, alpha)
}

// EncodeRows writes an image that is read row by row, each once. quality is 1…100; with alpha the image's alpha is kept
// exactly, without it is ignored.
func EncodeRows(w io.Writer, img Rows, quality int, alpha bool) error {
	if img.Width < 1 || img.Height < 1 || img.Width > maxSide || img.Height > maxSide {
		return fmt.Errorf("writing webp: a side is 1 to %d pixels, the image is %dx%d", maxSide, img.Width, img.Height)
	}
	source, transparency, err := fromRows(img, alpha)
	if err != nil {
		return fmt.Errorf("writing webp: %w", err)
	}
	frame, err := encodeFrame(source, img, quality)
	if err != nil {
		return fmt.Errorf("writing webp: %w", err)
	}
	var body []byte
	if alpha {
		head := []byte{0x10, 0, 0, 0}
		head = append(head, u24(img.Width-1)...)
		head = append(head, u24(img.Height-1)...)
		body = appendChunk(body, "VP8X", head)
		body = appendChunk(body, "ALPH", encodeAlpha(transparency, img.Width))
	}
	body = append(body, "VP8 "...)
	body = binary.LittleEndian.AppendUint32(body, uint32(len(frame))) //nolint:gosec // a frame is smaller than 4 GB
	padding := make([]byte, len(frame)%2)
	head := append([]byte("RIFF"), binary.LittleEndian.AppendUint32(nil, uint32(len(body)+len(frame)+len(padding)+4))...) //nolint:gosec // as above
	for _, part := range [][]byte{append(head, "WEBP"...), body, frame, padding} {
		if _, err := w.Write(part); err != nil {
			return fmt.Errorf("writing webp: %w", err)
		}
	}
	return nil
}

func u24(n int) []byte { return []byte{byte(n), byte(n >> 8), byte(n >> 16)} }

func appendChunk(b []byte, name string, data []byte) []byte {
	b = append(b, name...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(data))) //nolint:gosec // as above
	b = append(b, data...)
	if len(data)%2 == 1 {
		b = append(b, 0)
	}
	return b
}
