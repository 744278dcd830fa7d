package imaging

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"io"

	"golang.org/x/image/webp"
)

// riffChunk is one part of a WebP file.
type riffChunk struct {
	kind string
	data []byte
}

func isWebP(data []byte) bool {
	return len(data) >= 12 && string(data[:4]) == "RIFF" && string(data[8:12]) == "WEBP"
}

// fileChunks returns the chunks of a WebP file.
func fileChunks(data []byte) ([]riffChunk, error) {
	if size := int64(binary.LittleEndian.Uint32(data[4:])); size > int64(len(data)-8) {
		return nil, io.ErrUnexpectedEOF
	}
	return riffChunks(data[12:])
}

// riffChunks splits the body of a RIFF form into its chunks. A last chunk that is cut short is an error.
func riffChunks(data []byte) ([]riffChunk, error) {
	var out []riffChunk
	for len(data) >= 8 {
		kind, size := string(data[:4]), int64(binary.LittleEndian.Uint32(data[4:]))
		if data = data[8:]; size > int64(len(data)) {
			return nil, fmt.Errorf("chunk %q ends early", kind)
		}
		out = append(out, riffChunk{kind, data[:size]})
		data = data[min(size+size&1, int64(len(data))):]
	}
	return out, nil
}

// webpFrame is one ANMF chunk of an animation.
type webpFrame struct {
	at             image.Rectangle
	over, clear    bool // blended over what is there; cleared after it was shown
	image          []byte
	alpha          []byte
	imageChunkKind string
}

// animation returns the canvas and the frames of an animated WebP file; ok is false for a still picture.
func animation(data []byte) (canvas image.Point, frames []webpFrame, ok bool, err error) {
	chunks, err := fileChunks(data)
	if err != nil || len(chunks) == 0 || chunks[0].kind != "VP8X" {
		return canvas, nil, false, err
	}
	const animated = 2
	head := chunks[0].data
	if len(head) < 10 {
		return canvas, nil, false, errors.New("its header ends early")
	}
	if head[0]&animated == 0 {
		return canvas, nil, false, nil
	}
	canvas = image.Pt(1+uint24(head[4:]), 1+uint24(head[7:]))
	for _, c := range chunks {
		if c.kind != "ANMF" {
			continue
		}
		f, err := parseFrame(c.data)
		if err != nil {
			return canvas, nil, true, err
		}
		if !f.at.In(image.Rectangle{Max: canvas}) {
			return canvas, nil, true, fmt.Errorf("a frame at %v lies outside of the canvas of %v", f.at, canvas)
		}
		frames = append(frames, f)
	}
	return canvas, frames, true, nil
}

func parseFrame(data []byte) (webpFrame, error) {
	const header = 16
	if len(data) < header {
		return webpFrame{}, errors.New("a frame ends early")
	}
	x, y := 2*uint24(data), 2*uint24(data[3:])
	f := webpFrame{at: image.Rect(x, y, x+1+uint24(data[6:]), y+1+uint24(data[9:]))}
	f.over, f.clear = data[15]&2 == 0, data[15]&1 != 0
	parts, err := riffChunks(data[header:])
	if err != nil {
		return webpFrame{}, err
	}
	for _, p := range parts {
		switch p.kind {
		case "ALPH":
			f.alpha = p.data
		case "VP8 ", "VP8L":
			f.image, f.imageChunkKind = p.data, p.kind
		}
	}
	if f.image == nil {
		return webpFrame{}, errors.New("a frame has no picture")
	}
	return f, nil
}

// still wraps the frame into a WebP file of its own.
func (f webpFrame) still() []byte {
	var body []byte
	if f.alpha != nil && f.imageChunkKind == "VP8 " {
		const hasAlpha = 0x10
		head := []byte{hasAlpha, 0, 0, 0}
		head = appendUint24(head, f.at.Dx()-1)
		head = appendUint24(head, f.at.Dy()-1)
		body = appendRIFF(body, "VP8X", head)
		body = appendRIFF(body, "ALPH", f.alpha)
	}
	body = appendRIFF(body, f.imageChunkKind, f.image)
	return appendRIFF(nil, "RIFF", append([]byte("WEBP"), body...))
}

func appendRIFF(to []byte, kind string, data []byte) []byte {
	to = append(to, kind...)
	to = binary.LittleEndian.AppendUint32(to, uint32(len(data)))
	to = append(to, data...)
	if len(data)%2 == 1 {
		to = append(to, 0)
	}
	return to
}

func uint24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

func appendUint24(to []byte, n int) []byte { return append(to, byte(n), byte(n>>8), byte(n>>16)) }

func webpConfig(data []byte) (image.Config, error) {
	canvas, _, animated, err := animation(data)
	if err != nil || animated {
		return image.Config{Width: canvas.X, Height: canvas.Y}, err
	}
	return webp.DecodeConfig(bytes.NewReader(data))
}

func countWebP(data []byte) (int, error) {
	_, frames, animated, err := animation(data)
	if !animated {
		return 1, err
	}
	return len(frames), err
}

func webpExif(data []byte) []byte {
	chunks, err := fileChunks(data)
	if err != nil {
		return nil
	}
	for _, c := range chunks {
		if c.kind == "EXIF" {
			return c.data
		}
	}
	return nil
}

// webpOpaque reports whether the file announces that it has no alpha.
func webpOpaque(data []byte) bool {
	chunks, err := fileChunks(data)
	if err != nil || len(chunks) == 0 {
		return false
	}
	switch c := chunks[0]; {
	case c.kind == "VP8X" && len(c.data) > 0:
		return c.data[0]&0x10 == 0
	case c.kind == "VP8L" && len(c.data) > 4:
		return c.data[4]&0x10 == 0
	}
	return false
}

// FirstWebP decodes a WebP file as a still picture, an animation's first frame, in the colours of libwebp; opaque is
// whether it has no alpha. It refuses more than limit pixels before it decodes, and fails with image.ErrFormat on files
// that are no WebP.
func FirstWebP(data []byte, limit int64) (img image.Image, opaque bool, err error) {
	if !isWebP(data) {
		return nil, false, image.ErrFormat
	}
	c, err := webpConfig(data)
	if err != nil {
		return nil, false, noEOF(err)
	}
	if c.Width < 1 || c.Height < 1 || int64(c.Width)*int64(c.Height) > limit {
		return nil, false, fmt.Errorf("its size is %dx%d", c.Width, c.Height)
	}
	if err := CheckSize("a picture", c.Height, c.Width, 3); err != nil {
		return nil, false, err
	}
	_, parts, animated, err := animation(data)
	if err != nil {
		return nil, false, noEOF(err)
	}
	if !animated {
		img, err = decodeStill(data, halvedHeight)
		return img, webpOpaque(data) || !hasAlpha(img), noEOF(err)
	}
	if len(parts) == 0 {
		return nil, false, errors.New("there is no frame in it")
	}
	frames, err := composed(image.Pt(c.Width, c.Height), parts[:1])
	if err != nil {
		return nil, false, noEOF(err)
	}
	return frames[0], webpOpaque(data), nil
}

func decodeWebP(data []byte) ([]image.Image, error) {
	size, parts, animated, err := animation(data)
	if err != nil {
		return nil, err
	}
	if !animated {
		img, err := decodeStill(data, stretchedHeight)
		return []image.Image{img}, err
	}
	return composed(size, parts)
}

// composed are the pictures that an animation shows.
func composed(size image.Point, parts []webpFrame) ([]image.Image, error) {
	canvas := image.NewNRGBA(image.Rectangle{Max: size})
	frames := make([]image.Image, 0, len(parts))
	for i, f := range parts {
		img, err := decodeStill(f.still(), halvedHeight)
		if err != nil {
			return nil, fmt.Errorf("frame %d: %w", i, err)
		}
		if img.Bounds().Size() != f.at.Size() {
			return nil, fmt.Errorf("frame %d is %v, announced as %v", i, img.Bounds().Size(), f.at.Size())
		}
		compose(canvas, toNRGBA(img), f.at, f.over, blendWebP)
		frames = append(frames, cloneNRGBA(canvas))
		if f.clear {
			fillRows(canvas, f.at, func(to []byte, _ int) { clear(to) })
		}
	}
	return frames, nil
}

// decodeStill decodes a file with one picture; down is how its halved colour is spread over the rows.
func decodeStill(data []byte, down func(w, h int) []place) (image.Image, error) {
	img, err := webp.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	switch img := img.(type) {
	case *image.YCbCr:
		return webpColours(img, down), nil
	case *image.NYCbCrA:
		out := webpColours(&img.YCbCr, down)
		nrgba := &image.NRGBA{Pix: out.Pix, Stride: out.Stride, Rect: out.Rect}
		fillRows(nrgba, nrgba.Rect, func(to []byte, y int) {
			for x := range len(to) / 4 {
				to[4*x+3] = img.A[img.AOffset(x+img.Rect.Min.X, y+img.Rect.Min.Y)]
			}
		})
		return nrgba, nil
	}
	return img, nil
}

// fillRows calls set with the pixels of each row of r and the row's number within r.
func fillRows(img *image.NRGBA, r image.Rectangle, set func(to []byte, y int)) {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		set(img.Pix[img.PixOffset(r.Min.X, y):][:4*r.Dx()], y-r.Min.Y)
	}
}

// compose puts a frame at its place on the canvas: in place of what is there, or over it, blended pixel by pixel.
func compose(canvas, img *image.NRGBA, at image.Rectangle, over bool, blend func(to, from []byte)) {
	fillRows(canvas, at, func(to []byte, y int) {
		from := img.Pix[y*img.Stride:][:len(to)]
		if !over {
			copy(to, from)
			return
		}
		for i := 0; i < len(to); i += 4 {
			blend(to[i:i+4], from[i:i+4])
		}
	})
}

// blendWebP blends a pixel without premultiplication as libwebp does.
func blendWebP(to, from []byte) {
	sa := int(from[3])
	if sa == 255 || to[3] == 0 {
		copy(to, from)
		return
	}
	if sa == 0 {
		return
	}
	da := int(to[3]) * (256 - sa) >> 8
	a := sa + da
	scale := (1 << 24) / a
	for c := range 3 {
		to[c] = byte((int(from[c])*sa + int(to[c])*da) * scale >> 24)
	}
	to[3] = byte(a)
}
