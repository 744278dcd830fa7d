// Package webp writes WebP pictures: VP8 key frames, with an alpha plane beside them when asked for.
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

// Encode writes a picture. quality is 1…100; with alpha the picture's alpha is kept exactly, without it is ignored.
func Encode(w io.Writer, img *image.NRGBA, quality int, alpha bool) error {
	size := img.Rect.Size()
	if size.X < 1 || size.Y < 1 || size.X > maxSide || size.Y > maxSide {
		return fmt.Errorf("writing webp: a side is 1 to %d pixels, the picture is %dx%d", maxSide, size.X, size.Y)
	}
	frame, err := encodeFrame(img, quality)
	if err != nil {
		return fmt.Errorf("writing webp: %w", err)
	}
	var body []byte
	if alpha {
		head := []byte{0x10, 0, 0, 0}
		head = append(head, u24(size.X-1)...)
		head = append(head, u24(size.Y-1)...)
		body = appendChunk(body, "VP8X", head)
		body = appendChunk(body, "ALPH", encodeAlpha(img))
	}
	body = appendChunk(body, "VP8 ", frame)
	out := append([]byte("RIFF"), binary.LittleEndian.AppendUint32(nil, uint32(len(body)+4))...) //nolint:gosec // a frame is smaller than 4 GB
	out = append(append(out, "WEBP"...), body...)
	if _, err := w.Write(out); err != nil {
		return fmt.Errorf("writing webp: %w", err)
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
