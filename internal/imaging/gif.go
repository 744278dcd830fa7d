package imaging

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/gif"
)

// countGIF counts the frames of a GIF file by walking over its blocks.
func countGIF(data []byte) (int, error) {
	errShort := errors.New("the file ends early")
	const header = 13
	if len(data) < header {
		return 0, errShort
	}
	at := header + colourTable(data[10])
	for n := 0; ; {
		if at >= len(data) {
			return n, nil // without a trailer; the decoder decides whether the frames are whole
		}
		switch data[at] {
		case 0x3b:
			return n, nil
		case 0x21: // extension: a label and sub-blocks
			at = skipBlocks(data, at+2)
		case 0x2c: // image: position, size, flags, its own colours, the code size and sub-blocks
			n++
			if at+9 >= len(data) {
				return 0, errShort
			}
			at = skipBlocks(data, at+10+colourTable(data[at+9])+1)
		default:
			return n, nil
		}
	}
}

func colourTable(flags byte) int {
	if flags&0x80 == 0 {
		return 0
	}
	return 3 << (flags&7 + 1)
}

func skipBlocks(data []byte, at int) int {
	for at < len(data) {
		size := int(data[at])
		at += 1 + size
		if size == 0 {
			break
		}
	}
	return at
}

// clearGIF is what shows through: white that cannot be seen, as FFmpeg has it.
var clearGIF = color.NRGBA{R: 255, G: 255, B: 255}

// decodeGIF composes the frames of a GIF file on a transparent canvas.
func decodeGIF(data []byte) ([]image.Image, error) {
	g, err := gif.DecodeAll(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	canvas := image.NewNRGBA(image.Rect(0, 0, g.Config.Width, g.Config.Height))
	clearRect(canvas, canvas.Rect)
	frames := make([]image.Image, 0, len(g.Image))
	for i, img := range g.Image {
		before := canvas
		if g.Disposal[i] == gif.DisposalPrevious {
			before = cloneNRGBA(canvas)
		}
		paint(canvas, img)
		frames = append(frames, cloneNRGBA(canvas))
		switch g.Disposal[i] {
		case gif.DisposalBackground:
			clearRect(canvas, img.Bounds())
		case gif.DisposalPrevious:
			canvas = before
		}
	}
	return frames, nil
}

// paint puts the visible pixels of a frame onto the canvas, within which it lies.
func paint(canvas *image.NRGBA, img *image.Paletted) {
	colours := make([]color.NRGBA, 256) // an index beyond the palette is not visible
	for i, c := range img.Palette {
		colours[i] = nrgba(c)
	}
	r := img.Rect
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			if c := colours[img.Pix[img.PixOffset(x, y)]]; c.A != 0 {
				canvas.SetNRGBA(x, y, c)
			}
		}
	}
}

func clearRect(canvas *image.NRGBA, r image.Rectangle) {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			canvas.SetNRGBA(x, y, clearGIF)
		}
	}
}

func cloneNRGBA(img *image.NRGBA) *image.NRGBA {
	c := *img
	c.Pix = append([]byte(nil), img.Pix...)
	return &c
}
