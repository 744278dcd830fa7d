// Package webpwrite writes WebP files, still and animated, as Pillow does by libwebp.
//
// The encoder is libwebp compiled to WebAssembly, from the module github.com/gen2brain/webp: the bit streams are those of
// libwebp at the same quality and method. It must not know of tensors, nodes or folders.
package webpwrite

import (
	"context"
	"errors"
	"fmt"
	_ "unsafe" // go:linkname

	_ "github.com/gen2brain/webp" // has the encoder

	"comfygo/internal/wasm"
)

// webpWasm is the module's library. The module's functions know neither contexts nor bounds of memory, and use a library
// of the system where there is one; what they embed is used directly, therefore.
//
//go:linkname webpWasm github.com/gen2brain/webp.webpWasm
var webpWasm []byte

var library = &wasm.Library{Packed: &webpWasm}

// MaxSide is the greatest width and height of a WebP image.
const MaxSide = 16383

// Options configure how images are encoded.
type Options struct {
	Lossless bool
	// Quality is 0 to 100: of lossy images how close they are, of lossless ones the effort.
	Quality int
	// Method is 0 (fast) to 6 (small).
	Method int
	// EXIF, when not empty, is the metadata block: a TIFF header with its directory.
	EXIF []byte
}

// Image is an 8-bit RGB or RGBA image.
type Image struct {
	Pix                     []byte // Width*Height*Channels bytes
	Width, Height, Channels int    // 3 or 4 channels
}

// check refuses images that the format cannot hold.
func (m Image) check() error {
	switch {
	case m.Channels != 3 && m.Channels != 4:
		return fmt.Errorf("writing webp: an image has 3 or 4 channels, not %d", m.Channels)
	case m.Width < 1 || m.Height < 1 || m.Width > MaxSide || m.Height > MaxSide:
		return fmt.Errorf("writing webp: the image is %dx%d; the format holds 1x1 to %dx%d", m.Width, m.Height, MaxSide, MaxSide)
	case len(m.Pix) != m.Width*m.Height*m.Channels:
		return fmt.Errorf("writing webp: %d bytes given for %dx%dx%d", len(m.Pix), m.Width, m.Height, m.Channels)
	}
	return nil
}

// sandbox is more than the encoder takes, in bytes: up to 70 a pixel were seen, of lossless images at method 6.
func (m Image) sandbox() uint64 {
	const fixed, perPixel = 64 << 20, 160
	return min(fixed+perPixel*uint64(m.Width)*uint64(m.Height), 1<<32-1<<16) //nolint:gosec // sides were checked
}

// bitstream is an encoded image: the chunks ALPH and VP8, or VP8L, with their headers.
type bitstream struct {
	chunks []byte
	alpha  bool
}

// encode makes the chunks of one image.
func encode(ctx context.Context, m Image, o Options) (bitstream, error) {
	i, err := library.Start(ctx, m.sandbox())
	if err != nil {
		return bitstream{}, fmt.Errorf("writing webp: %w", err)
	}
	defer i.Close()
	in, err := i.Put(m.rgba())
	if err != nil {
		return bitstream{}, fmt.Errorf("writing webp: %w", err)
	}
	size, err := i.Put(make([]byte, 8))
	if err != nil {
		return bitstream{}, fmt.Errorf("writing webp: %w", err)
	}
	var lossless uint64
	if o.Lossless {
		lossless = 1
	}
	const rgba, exact = 0, 0
	out, err := i.Call("encode", uint64(in), uint64(m.Width), uint64(m.Height), uint64(size), rgba, //nolint:gosec // not negative
		uint64(o.Quality), uint64(o.Method), lossless, exact) //nolint:gosec // not negative
	if err == nil && out == 0 {
		err = errors.New("libwebp refuses the image")
	}
	if err != nil {
		return bitstream{}, fmt.Errorf("writing webp: %w", err)
	}
	file, err := i.Read(out, i.Word(size))
	if err != nil {
		return bitstream{}, fmt.Errorf("writing webp: %w", err)
	}
	return unwrap(file)
}

// Colored returns an image of gray values, with or without alpha, as RGB or RGBA, and others as they are.
func (m Image) Colored() Image {
	if m.Channels != 1 && m.Channels != 2 {
		return m
	}
	out := Image{Width: m.Width, Height: m.Height, Channels: m.Channels + 2}
	for i := 0; i+m.Channels <= len(m.Pix); i += m.Channels {
		out.Pix = append(append(out.Pix, m.Pix[i], m.Pix[i], m.Pix[i]), m.Pix[i+1:i+m.Channels]...)
	}
	return out
}

// rgba copies the image with four channels, as the library requires.
func (m Image) rgba() []byte {
	if m.Channels == 4 {
		return m.Pix
	}
	out := make([]byte, 4*m.Width*m.Height)
	for i, o := 0, 0; i < len(m.Pix); i, o = i+3, o+4 {
		out[o], out[o+1], out[o+2], out[o+3] = m.Pix[i], m.Pix[i+1], m.Pix[i+2], 255
	}
	return out
}
