// Package webp decodes WebP files: lossy, lossless and animated. Bytes behind the file's end are ignored.
//
// The bitstreams are decoded by golang.org/x/image; containers, animations and colors are done here.
package webp

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"

	"golang.org/x/image/vp8"

	"comfygo/internal/imaging/codec"
)

func init() {
	codec.Register(codec.Format{
		Name: "webp", Extensions: []string{"webp"},
		Sniff: func(data []byte) bool {
			return len(data) >= 12 && string(data[:4]) == "RIFF" && string(data[8:12]) == "WEBP"
		},
		Probe:  probe,
		Decode: decode,
	})
}

// part is one image: a still or a frame of an animation.
type part struct {
	at          image.Rectangle // on the canvas
	over, clear bool            // blended over what is there; cleared after it was shown
	lossy       []byte          // VP8
	lossless    []byte          // VP8L
	alpha       []byte          // ALPH, beside VP8
}

// file is a WebP file taken apart.
type file struct {
	size        image.Point
	alpha       bool // the file announces it
	animated    bool
	orientation int
	parts       []part
}

// chunks calls visit for the chunks of a RIFF form's body as far as they are there; the last one may be cut.
func chunks(data []byte, visit func(kind string, body []byte) error) error {
	for len(data) >= 8 {
		kind, size := string(data[:4]), int64(binary.LittleEndian.Uint32(data[4:]))
		data = data[8:]
		n := min(size, int64(len(data)))
		if err := visit(kind, data[:n]); err != nil {
			return err
		}
		data = data[min(size+size&1, int64(len(data))):]
	}
	return nil
}

func uint24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

// add takes over a chunk of an image.
func (p *part) add(kind string, body []byte) bool {
	switch kind {
	case "VP8 ":
		p.lossy = body
	case "VP8L":
		p.lossless = body
	case "ALPH":
		p.alpha = body
	default:
		return false
	}
	return true
}

func read(data []byte) (*file, error) {
	f := &file{orientation: 1}
	end := min(8+int64(binary.LittleEndian.Uint32(data[4:])), int64(len(data)))
	var still part
	err := chunks(data[12:max(end, 12)], func(kind string, body []byte) error {
		switch {
		case kind == "VP8X" && len(body) >= 10 && f.size.X == 0:
			f.size = image.Pt(1+uint24(body[4:]), 1+uint24(body[7:]))
			f.alpha, f.animated = body[0]&0x10 != 0, body[0]&2 != 0
		case kind == "ANMF" && f.animated:
			p, err := parseFrame(body)
			if err != nil {
				return err
			}
			if !p.at.In(image.Rectangle{Max: f.size}) {
				return fmt.Errorf("a frame at %v lies outside of the canvas of %v", p.at, f.size)
			}
			f.parts = append(f.parts, p)
		case kind == "EXIF":
			f.orientation = codec.Orientation(body)
		case still.lossy == nil && still.lossless == nil:
			still.add(kind, body)
		}
		return nil
	})
	if f.animated {
		if len(f.parts) == 0 {
			return nil, errors.Join(errors.New("there is no frame in it"), err)
		}
		return f, nil
	}
	return f, f.still(still)
}

// still takes the one image of a file that is not an animation.
func (f *file) still(p part) error {
	size, alpha, err := p.measure()
	if err != nil {
		return err
	}
	if f.size.X > 0 && f.size != size {
		return fmt.Errorf("its image is %v, announced as %v", size, f.size)
	}
	f.size, f.alpha = size, alpha
	p.at = image.Rectangle{Max: size}
	f.parts = []part{p}
	return nil
}

// measure reads the size from the head of the bitstream, and whether there is alpha.
func (p *part) measure() (size image.Point, alpha bool, err error) {
	switch {
	case len(p.lossless) >= 5 && p.lossless[0] == 0x2f:
		b := binary.LittleEndian.Uint32(p.lossless[1:])
		return image.Pt(int(b&0x3fff)+1, int(b>>14&0x3fff)+1), b>>28&1 != 0, nil
	case len(p.lossy) >= 10:
		d := vp8.NewDecoder()
		d.Init(reader(context.Background(), p.lossy), len(p.lossy))
		h, err := d.DecodeFrameHeader()
		if err != nil {
			return size, false, err
		}
		return image.Pt(h.Width, h.Height), p.alpha != nil, nil
	}
	return size, false, errors.New("there is no image in it")
}

func parseFrame(data []byte) (part, error) {
	const header = 16
	if len(data) < header {
		return part{}, errors.New("a frame ends early")
	}
	x, y := 2*uint24(data), 2*uint24(data[3:])
	p := part{at: image.Rect(x, y, x+1+uint24(data[6:]), y+1+uint24(data[9:]))}
	p.over, p.clear = data[15]&2 == 0, data[15]&1 != 0
	err := chunks(data[header:], func(kind string, body []byte) error { p.add(kind, body); return nil })
	if p.lossless != nil {
		p.alpha = nil
	}
	return p, err
}

// layout is that of a part as it is decoded.
func (p *part) layout() codec.Layout {
	switch {
	case p.lossless != nil:
		return codec.PackedAlpha8
	case p.alpha != nil:
		return codec.LimitedYUVA
	}
	return codec.LimitedYUV
}

// working returns the memory of a decoded part: RGBA, or planes and alpha. transient is the most that decoding holds:
// alpha is decoded through lossless RGBA.
func (p *part) working() (working, transient int64) {
	pixels := int64(p.at.Dx()) * int64(p.at.Dy())
	switch p.layout() {
	case codec.PackedAlpha8:
		return 4 * pixels, 4 * pixels
	case codec.LimitedYUVA:
		return pixels * 5 / 2, 5 * pixels
	}
	return pixels * 3 / 2, pixels * 3 / 2
}

func probe(data []byte) (codec.Info, error) {
	f, err := read(data)
	if err != nil {
		return codec.Info{}, err
	}
	info := codec.Info{Width: f.size.X, Height: f.size.Y, Frames: len(f.parts), Animated: f.animated, Orientation: f.orientation, Layout: f.parts[0].layout()}
	if !f.animated {
		info.Working, info.Transient = f.parts[0].working()
		return info, nil
	}
	info.Layout = f.layout()
	most := int64(0)
	for i := range f.parts {
		_, transient := f.parts[i].working()
		most = max(most, transient)
	}
	info.Working = int64(f.size.X)*int64(f.size.Y)*int64(4+info.Layout.Bytes()) + most
	return info, nil
}

// layout is that of an animation's frames.
func (f *file) layout() codec.Layout {
	if f.alpha {
		return codec.RGBA8
	}
	return codec.RGB8
}

func decode(ctx context.Context, data []byte, info codec.Info, emit func(*codec.Frame) error) error {
	f, err := read(data)
	if err != nil {
		return err
	}
	if f.animated {
		return f.compose(ctx, emit)
	}
	frame, err := f.parts[0].decode(ctx)
	if err != nil {
		return err
	}
	if !f.alpha {
		frame.Mode = "RGB"
	}
	return emit(frame)
}
