package codec

import (
	"image"
	"image/color"
)

// Layout says how a frame's pixels are stored. It also decides how they become floats, because ComfyUI's decoder
// (FFmpeg) hands out a pixel format of its own for each, and converts most of them by way of fixed-point YUV.
type Layout int

// The layouts. Samples of 8 bits are bytes, samples of 16 bits are two bytes, the high one first; channels are interleaved.
const (
	// Gray8 is one 8-bit sample a pixel.
	Gray8 Layout = iota
	// Bilevel is Gray8 whose samples are 0 or 255 only, from one bit.
	Bilevel
	// Gray16 is one 16-bit sample.
	Gray16
	// GrayAlpha8 and GrayAlpha16 have two samples.
	GrayAlpha8
	GrayAlpha16
	// RGB8 and RGBA8 are taken as they are.
	RGB8
	RGBA8
	// Palette8 is one index into the frame's palette.
	Palette8
	// Packed8 and PackedAlpha8 are RGB and RGBA that upstream's decoder has in an order of its own (BGR, BGRA, ARGB) and
	// converts to floats by way of YUV.
	Packed8
	PackedAlpha8
	// Planar8 is RGB that the decoder has as planes, PlanarAlpha8 the same with opaque or real alpha.
	Planar8
	PlanarAlpha8
	// RGB16 and RGBA16 have 16-bit samples.
	RGB16
	RGBA16
	// FullYUV is YCbCr of JFIF: full range.
	FullYUV
	// LimitedYUV is YCbCr of BT.601 with luma in 16…235 and chroma halved both ways; LimitedYUVA has alpha beside it.
	LimitedYUV
	LimitedYUVA
	// Decoded8 and Decoded16 are RGB that another library made of YUV.
	Decoded8
	Decoded16
	// GrayFloat and RGBFloat are float32 samples that are taken as they are. NaN becomes 0.
	GrayFloat
	RGBFloat
	// LimitedGrayFloat is a float32 sample that upstream's decoder takes for luma in 16…235 of 255.
	LimitedGrayFloat
)

// layouts describes each layout: samples a pixel, bytes a sample, whether there is alpha.
var layouts = [...]struct {
	channels, bytes int
	alpha           bool
	mode            string
}{
	Gray8: {1, 1, false, "L"}, Bilevel: {1, 1, false, "L"}, Gray16: {1, 2, false, "L"},
	GrayAlpha8: {2, 1, true, "LA"}, GrayAlpha16: {2, 2, true, "RGBA"},
	RGB8: {3, 1, false, "RGB"}, RGBA8: {4, 1, true, "RGBA"}, Palette8: {1, 1, true, "P"},
	Packed8: {3, 1, false, "RGB"}, PackedAlpha8: {4, 1, true, "RGBA"}, Planar8: {3, 1, false, "RGB"}, PlanarAlpha8: {4, 1, true, "RGB"},
	RGB16: {3, 2, false, "RGB"}, RGBA16: {4, 2, true, "RGBA"},
	FullYUV: {3, 1, false, "RGB"}, LimitedYUV: {3, 1, false, "RGB"}, LimitedYUVA: {4, 1, true, "RGBA"},
	Decoded8: {3, 1, false, "RGB"}, Decoded16: {3, 2, false, "RGB"},
	GrayFloat: {1, 4, false, "L"}, RGBFloat: {3, 4, false, "RGB"}, LimitedGrayFloat: {1, 4, false, "L"},
}

// Channels is the number of samples a pixel.
func (l Layout) Channels() int { return layouts[l].channels }

// Bytes is the number of bytes a pixel; of YUV layouts the most, without subsampling.
func (l Layout) Bytes() int { return layouts[l].channels * layouts[l].bytes }

// Alpha reports whether the kind of pixel has transparency, even if no pixel uses it. Palettes count.
func (l Layout) Alpha() bool { return layouts[l].alpha }

// Mode is the name of the kind of pixel in Pillow: L, LA, P, RGB or RGBA.
func (l Layout) Mode() string { return layouts[l].mode }

// Frame is one decoded frame.
type Frame struct {
	Width, Height int
	Layout        Layout
	// Pix holds Height rows of Width pixels in the layout, without padding; nil for YUV and float layouts.
	Pix []byte
	// Palette has the colors of Palette8. An index beyond it is opaque black.
	Palette []color.NRGBA
	// YUV holds the planes of YUV layouts, Alpha the one beside them.
	YUV   *image.YCbCr
	Alpha []byte
	// Float holds the samples of float layouts.
	Float []float32
	// Clear is the one color that the file declares transparent in place of alpha, for formats that do.
	Clear *[3]uint8
	// Mode is Pillow's name of the pixel format if it differs from the layout's.
	Mode string
}

// NewFrame makes a frame with zeroed pixels for a layout with Pix.
func NewFrame(width, height int, l Layout) *Frame {
	return &Frame{Width: width, Height: height, Layout: l, Pix: make([]byte, width*height*l.Bytes())}
}

// Row is row y of Pix.
func (f *Frame) Row(y int) []byte {
	n := f.Width * f.Layout.Bytes()
	return f.Pix[y*n:][:n]
}

// AnyClear reports whether a pixel of an 8-bit layout with alpha is not opaque.
func (f *Frame) AnyClear() bool {
	switch f.Layout {
	case Palette8:
		used := [256]bool{}
		for _, v := range f.Pix {
			used[v] = true
		}
		for i, c := range f.Palette {
			if c.A < 255 && i < len(used) && used[i] {
				return true
			}
		}
	case RGBA8, PackedAlpha8, PlanarAlpha8:
		for i := 3; i < len(f.Pix); i += 4 {
			if f.Pix[i] < 255 {
				return true
			}
		}
	}
	return false
}
