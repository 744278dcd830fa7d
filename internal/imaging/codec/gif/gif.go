// Package gif decodes GIF files, damaged ones as far as they go, on a canvas as FFmpeg composes them.
package gif

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"image"
	"image/color"

	"comfygo/internal/imaging/codec"
)

func init() {
	codec.Register(codec.Format{
		Name: "gif", Extensions: []string{"gif"},
		Sniff:  func(data []byte) bool { return bytes.HasPrefix(data, []byte("GIF8")) },
		Probe:  probe,
		Decode: decode,
	})
}

// clear is the transparent color: white with alpha 0, as in FFmpeg.
var clear = [4]byte{255, 255, 255, 0}

// What is left of a frame when the next one comes.
const (
	disposeBackground = 2
	disposePrevious   = 3
)

// frame is one image block.
type frame struct {
	at          image.Rectangle
	interlaced  bool
	palette     []color.NRGBA
	transparent int // index, -1 for none
	dispose     byte
	literals    byte
	data        []byte // sub-blocks
}

const headerSize = 13

var errShort = errors.New("its header ends early")

// walk calls visit for the frames of a file as far as their headers are there. visit returns false to end.
func walk(data []byte, visit func(frame) bool) error {
	if len(data) < headerSize {
		return errShort
	}
	global := palette(data[headerSize:], data[10])
	at := headerSize + tableSize(data[10])
	f := frame{transparent: -1}
	for at < len(data) {
		switch data[at] {
		case 0x21: // extension: a label and sub-blocks
			if at+8 <= len(data) && data[at+1] == 0xf9 && data[at+2] == 4 {
				f.dispose, f.transparent = data[at+3]>>2&7, -1
				if data[at+3]&1 != 0 {
					f.transparent = int(data[at+6])
				}
			}
			at = skip(data, at+2)
		case 0x2c: // image: position, size, flags, colors of its own, code size and sub-blocks
			if at+11 > len(data) {
				return nil
			}
			b := data[at+1:]
			x, y := int(binary.LittleEndian.Uint16(b)), int(binary.LittleEndian.Uint16(b[2:]))
			w, h := int(binary.LittleEndian.Uint16(b[4:])), int(binary.LittleEndian.Uint16(b[6:]))
			f.at, f.interlaced, f.palette = image.Rect(x, y, x+w, y+h), b[8]&0x40 != 0, global
			if tableSize(b[8]) > 0 {
				f.palette = palette(b[9:], b[8])
			}
			at += 10 + tableSize(b[8])
			if at >= len(data) {
				return nil
			}
			f.literals, f.data = data[at], data[at+1:]
			if !visit(f) {
				return nil
			}
			at = skip(data, at+1)
			f = frame{transparent: -1}
		case 0x3b:
			return nil
		default: // bytes that nothing says anything about
			at++
		}
	}
	return nil
}

func tableSize(flags byte) int {
	if flags&0x80 == 0 {
		return 0
	}
	return 3 << (flags&7 + 1)
}

func palette(data []byte, flags byte) []color.NRGBA {
	out := make([]color.NRGBA, min(tableSize(flags), len(data))/3)
	for i := range out {
		out[i] = color.NRGBA{R: data[3*i], G: data[3*i+1], B: data[3*i+2], A: 255}
	}
	return out
}

func skip(data []byte, at int) int {
	for at < len(data) {
		size := int(data[at])
		at += 1 + size
		if size == 0 {
			break
		}
	}
	return at
}

// background returns the initial color of the canvas: the background color if the first frame has no transparent one, as
// in FFmpeg.
func background(data []byte) [4]byte {
	out := clear
	colors, index := palette(data[headerSize:], data[10]), int(data[11])
	_ = walk(data, func(f frame) bool {
		if f.transparent < 0 && index < len(colors) {
			out = [4]byte{colors[index].R, colors[index].G, colors[index].B, 255}
		}
		return false
	})
	return out
}

func probe(data []byte) (codec.Info, error) {
	info := codec.Info{Layout: codec.PackedAlpha8}
	area := int64(0)
	err := walk(data, func(f frame) bool {
		info.Frames++
		area += int64(f.at.Dx()) * int64(f.at.Dy())
		return true
	})
	if err != nil {
		return info, err
	}
	if info.Frames == 0 {
		return info, errors.New("there is no frame in it")
	}
	info.Width, info.Height = int(binary.LittleEndian.Uint16(data[6:])), int(binary.LittleEndian.Uint16(data[8:]))
	info.Animated = info.Frames > 1
	if canvas := int64(info.Width) * int64(info.Height) * int64(info.Frames); canvas > 0 { // frames may be larger than the canvas
		info.Passes = int(min((area+canvas-1)/canvas, 1<<30))
	}
	const canvasAndCopy = 2 * 4
	info.Working = int64(info.Width) * int64(info.Height) * canvasAndCopy
	if info.Animated {
		info.Working += int64(info.Width) * int64(info.Height) * 4 // what a frame restores
	}
	return info, nil
}

func decode(ctx context.Context, data []byte, info codec.Info, emit func(*codec.Frame) error) error {
	canvas := codec.NewCanvas(info.Width, info.Height)
	size := image.Rect(0, 0, info.Width, info.Height)
	canvas.Fill(size, background(data))
	out := codec.NewFrame(info.Width, info.Height, codec.PackedAlpha8)
	out.Mode = "P"
	var err error
	n := 0
	bad := walk(data, func(f frame) bool {
		visible := f.at.Intersect(size)
		var before []byte
		if f.dispose == disposePrevious {
			before = canvas.Save(visible)
		}
		if err = f.paint(ctx, canvas, size); err != nil {
			if n > 0 || ctx.Err() != nil {
				return false
			}
		}
		n++
		canvas.Copy(out)
		if stop := emit(out); stop != nil {
			err = stop
			return false
		}
		switch {
		case before != nil:
			canvas.Restore(visible, before)
		case f.dispose == disposeBackground:
			canvas.Fill(visible, clear)
		}
		return err == nil
	})
	return errors.Join(err, bad)
}
