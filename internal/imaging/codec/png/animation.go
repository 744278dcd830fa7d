package png

import (
	"context"
	"fmt"
	"image"

	"comfygo/internal/imaging/codec"
)

// animatedLayout is that of an animation's frames, which are composed with 8 bits.
func (f *file) animatedLayout() codec.Layout {
	switch l := f.layout(); {
	case l == codec.Gray8 || l == codec.Bilevel || l == codec.Gray16:
		return codec.Gray8
	case l == codec.GrayAlpha8 || l == codec.GrayAlpha16:
		return codec.GrayAlpha8
	case l.Alpha():
		return codec.RGBA8
	}
	return codec.RGB8
}

// canvasBytes is the size of two canvases, of a frame as it is stored and as RGBA, and of the emitted copy.
func (f *file) canvasBytes() int64 {
	pixels := int64(f.width) * int64(f.height)
	return pixels * int64(2*4+f.layout().Bytes()+f.animatedLayout().Bytes())
}

// compose lays the frames on each other, beginning with an empty canvas. A frame that is damaged or lies outside ends the
// animation, unless it is the first one.
func (f *file) compose(ctx context.Context, emit func(*codec.Frame) error) error {
	size := image.Rect(0, 0, f.width, f.height)
	canvas := codec.NewCanvas(f.width, f.height)
	out := codec.NewFrame(f.width, f.height, f.animatedLayout())
	scratch := &codec.Scratch{}
	for i, frame := range f.frames {
		if frame.at.Empty() || !frame.at.In(size) {
			return fmt.Errorf("frame %d at %v does not lie on the canvas of %v", i, frame.at, size.Size())
		}
		h := *f.header
		h.width, h.height = frame.at.Dx(), frame.at.Dy()
		part := codec.NewFrame(h.width, h.height, h.layout())
		whole, err := h.pixels(ctx, part, frame.parts)
		if err != nil {
			return fmt.Errorf("frame %d: %w", i, err)
		}
		if !whole && i > 0 {
			return nil // upstream shows whole frames
		}
		var before []byte
		if frame.dispose == disposePrevious && i > 0 {
			before = canvas.Save(frame.at)
		}
		blend := blendOver
		if !frame.over || i == 0 { // there is nothing to be blended with
			blend = nil
		}
		canvas.Draw(part, frame.at, blend, scratch)
		canvas.Copy(out)
		if err := emit(out); err != nil {
			return err
		}
		switch {
		case before != nil:
			canvas.Restore(frame.at, before)
		case frame.dispose == disposePrevious || frame.dispose == disposeBackground:
			canvas.Fill(frame.at, [4]byte{})
		}
	}
	return nil
}

// blendOver blends a pixel without premultiplication (PNG, third edition, 13.16), rounded as FFmpeg rounds.
func blendOver(to, from []byte) {
	front, back := int(from[3]), int(to[3])
	switch {
	case front == 255 || back == 0:
		copy(to, from)
		return
	case front == 0:
		return
	}
	share := func(v int) int { return (v + 128) * 257 >> 16 } // a 255th, rounded
	a := front + share((255-front)*back)
	for c := range 3 {
		if back == 255 {
			to[c] = byte(share(front*int(from[c]) + (255-front)*int(to[c])))
		} else {
			to[c] = byte((255*front*int(from[c]) + (255-front)*back*int(to[c])) / (255 * a))
		}
	}
	to[3] = byte(a)
}
