// Package png decodes PNG files and APNG animations, damaged ones as far as possible.
//
// Check sums are ignored, chunks that are not needed are skipped, and pixel data that ends early leaves the rest of the
// image empty, as FFmpeg does for ComfyUI. The standard library's decoder refuses all of these.
package png

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image/color"

	"comfygo/internal/imaging/codec"
)

func init() {
	codec.Register(codec.Format{
		Name: "png", Extensions: []string{"png", "apng"},
		Sniff:  func(data []byte) bool { return bytes.HasPrefix(data, []byte(signature)) },
		Probe:  probe,
		Decode: decode,
	})
}

const signature = "\x89PNG\r\n\x1a\n"

// Types of color (PNG, third edition, table 11.1).
const (
	typeGray      = 0
	typeRGB       = 2
	typePalette   = 3
	typeGrayAlpha = 4
	typeRGBA      = 6
)

// chunks calls visit for the chunks of a file as far as they are there; the last one may be cut. visit returns false to end.
func chunks(data []byte, visit func(kind string, body []byte) bool) {
	for at := len(signature); at+8 <= len(data); {
		size := int64(binary.BigEndian.Uint32(data[at:]))
		kind := string(data[at+4 : at+8])
		at += 8
		end := min(int64(at)+size, int64(len(data)))
		if !visit(kind, data[at:end]) || kind == "IEND" {
			return
		}
		at = int(min(end+4, int64(len(data))))
	}
}

// header is IHDR with what else all frames need.
type header struct {
	width, height int
	depth, kind   byte
	interlaced    bool
	palette       []color.NRGBA
	trns          []byte
}

// channels are the samples a pixel by the type of color.
var channels = map[byte]int{typeGray: 1, typeRGB: 3, typePalette: 1, typeGrayAlpha: 2, typeRGBA: 4}

func parseHeader(b []byte) (*header, error) {
	if len(b) < 13 {
		return nil, errors.New("its header ends early")
	}
	w, h := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	if w == 0 || h == 0 || w > 1<<31-1 || h > 1<<31-1 {
		return nil, fmt.Errorf("its size is %dx%d", w, h)
	}
	out := &header{width: int(w), height: int(h), depth: b[8], kind: b[9], interlaced: b[12] == 1}
	depths := map[byte]string{typeGray: "\x01\x02\x04\x08\x10", typeRGB: "\x08\x10", typePalette: "\x01\x02\x04\x08", typeGrayAlpha: "\x08\x10", typeRGBA: "\x08\x10"}
	if bytes.IndexByte([]byte(depths[out.kind]), out.depth) < 0 || b[10] != 0 || b[11] != 0 || b[12] > 1 {
		return nil, fmt.Errorf("pixels of type %d with %d bits, compression %d, filter %d, interlacing %d are not defined", out.kind, out.depth, b[10], b[11], b[12])
	}
	return out, nil
}

// add takes over a chunk that stands before the pixels.
func (h *header) add(kind string, b []byte) {
	switch kind {
	case "PLTE":
		h.palette = make([]color.NRGBA, min(len(b)/3, 256))
		for i := range h.palette {
			h.palette[i] = color.NRGBA{R: b[3*i], G: b[3*i+1], B: b[3*i+2], A: 255}
		}
	case "tRNS":
		h.trns = b
	}
}

// bits is the number of bits a pixel has in the file.
func (h *header) bits() int { return int(h.depth) * channels[h.kind] }

// layout is that of the decoded frames. A transparent color becomes alpha.
func (h *header) layout() codec.Layout {
	clear := len(h.trns) > 0
	switch {
	case h.kind == typePalette:
		return codec.Palette8
	case h.kind == typeGray && h.depth == 16 && clear, h.kind == typeGrayAlpha && h.depth == 16:
		return codec.GrayAlpha16
	case h.kind == typeGray && h.depth == 16:
		return codec.Gray16
	case h.kind == typeGray && clear, h.kind == typeGrayAlpha:
		return codec.GrayAlpha8
	case h.kind == typeGray && h.depth == 1:
		return codec.Bilevel
	case h.kind == typeGray:
		return codec.Gray8
	case h.depth == 16 && (h.kind == typeRGBA || clear):
		return codec.RGBA16
	case h.depth == 16:
		return codec.RGB16
	case h.kind == typeRGBA || clear:
		return codec.RGBA8
	}
	return codec.RGB8
}

// mode is Pillow's name of the kind of pixel.
func (h *header) mode() string {
	switch {
	case h.kind == typeGray:
		return "L"
	case h.kind == typeRGB:
		return "RGB"
	case h.kind == typeGrayAlpha && h.depth == 8:
		return "LA"
	case h.kind == typePalette:
		return "P"
	}
	return "RGBA"
}

const passesOfAdam7 = 7

func probe(data []byte) (codec.Info, error) {
	f, err := read(data)
	if err != nil {
		return codec.Info{}, err
	}
	h := f.header
	info := codec.Info{Width: h.width, Height: h.height, Frames: 1, Layout: h.layout(), Orientation: f.orientation}
	pixels := int64(h.width) * int64(h.height)
	info.Working = pixels * int64(info.Layout.Bytes())
	if h.interlaced {
		info.Passes = 2 // each pixel is in one of the seven; their rows are gone over once more
	}
	if len(f.frames) > 0 {
		info.Frames, info.Animated, info.Layout = len(f.frames), true, f.animatedLayout()
		info.Working = f.canvasBytes()
	}
	return info, nil
}

func decode(ctx context.Context, data []byte, _ codec.Info, emit func(*codec.Frame) error) error {
	f, err := read(data)
	if err != nil {
		return err
	}
	if len(f.frames) > 0 {
		return f.compose(ctx, emit)
	}
	frame := codec.NewFrame(f.width, f.height, f.layout())
	if _, err := f.pixels(ctx, frame, f.parts); err != nil {
		return err
	}
	return emit(frame)
}
