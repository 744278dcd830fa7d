package webp

import (
	"context"
	"fmt"

	"comfygo/internal/imaging/codec"
)

// compose lays the frames on each other as libwebp does.
func (f *file) compose(ctx context.Context, emit func(*codec.Frame) error) error {
	canvas := codec.NewCanvas(f.size.X, f.size.Y)
	out := codec.NewFrame(f.size.X, f.size.Y, f.layout())
	scratch := &codec.Scratch{}
	for i := range f.parts {
		p := &f.parts[i]
		frame, err := p.decode(ctx)
		if err != nil {
			return fmt.Errorf("frame %d: %w", i, err)
		}
		blend := blendOver
		if !p.over {
			blend = nil
		}
		canvas.Draw(frame, p.at, blend, scratch)
		canvas.Copy(out)
		if err := emit(out); err != nil {
			return err
		}
		if p.clear {
			canvas.Fill(p.at, [4]byte{})
		}
	}
	return nil
}

// blendOver blends a pixel without premultiplication as libwebp does.
func blendOver(to, from []byte) {
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
