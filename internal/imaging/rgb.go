package imaging

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
)

// OpenRGB decodes a PNG, JPEG or WebP file, of an animation the first frame, to the interleaved RGB bytes that Pillow's Image.open and
// convert("RGB") give: alpha is dropped, 16-bit gray
// is cut off at 255, 16-bit colors lose the lower 8 bits, EXIF's orientation is not applied.
func OpenRGB(data []byte) (pix []byte, width, height int, err error) {
	img, _, err := FirstWebP(data, maxPixels)
	if errors.Is(err, image.ErrFormat) {
		config, decode := png.DecodeConfig, png.Decode
		if bytes.HasPrefix(data, []byte("\xff\xd8")) {
			config, decode = jpeg.DecodeConfig, jpeg.Decode
		}
		c, configErr := config(bytes.NewReader(data))
		if configErr != nil {
			return nil, 0, 0, noEOF(configErr)
		}
		if c.Width < 1 || c.Height < 1 || int64(c.Width)*int64(c.Height) > maxPixels {
			return nil, 0, 0, fmt.Errorf("its size is %dx%d", c.Width, c.Height)
		}
		if err := CheckSize("an image", c.Height, c.Width, 3); err != nil {
			return nil, 0, 0, err
		}
		img, err = decode(bytes.NewReader(data))
	}
	if err != nil {
		return nil, 0, 0, noEOF(err)
	}
	b := img.Bounds()
	width, height = b.Dx(), b.Dy()
	return rgbOf(SmoothJPEG(img)), width, height, nil
}

// rgbOf takes the color of every pixel as it is stored, not weighted by alpha.
func rgbOf(img image.Image) []byte {
	b := img.Bounds()
	out := make([]byte, 0, 3*b.Dx()*b.Dy())
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			r, g, bl := colorAt(img, x, y)
			out = append(out, r, g, bl)
		}
	}
	return out
}

func colorAt(img image.Image, x, y int) (r, g, b byte) {
	switch img := img.(type) {
	case *image.NRGBA:
		p := img.Pix[img.PixOffset(x, y):]
		return p[0], p[1], p[2]
	case *image.RGBA: // opaque, as decoders give it
		p := img.Pix[img.PixOffset(x, y):]
		return p[0], p[1], p[2]
	case *image.Gray:
		v := img.Pix[img.PixOffset(x, y)]
		return v, v, v
	case *image.Gray16:
		p := img.Pix[img.PixOffset(x, y):]
		v := p[1]
		if p[0] > 0 {
			v = 255
		}
		return v, v, v
	case *image.NRGBA64:
		p := img.Pix[img.PixOffset(x, y):]
		return p[0], p[2], p[4]
	case *image.RGBA64:
		p := img.Pix[img.PixOffset(x, y):]
		return p[0], p[2], p[4]
	case *image.NYCbCrA:
		return rgb8(img.YCbCrAt(x, y))
	case *image.CMYK:
		p := img.Pix[img.PixOffset(x, y):]
		return ink(p[0], p[3]), ink(p[1], p[3]), ink(p[2], p[3])
	case *image.Paletted:
		if int(img.ColorIndexAt(x, y)) >= len(img.Palette) {
			return 0, 0, 0
		}
		return straight(img.Palette[img.ColorIndexAt(x, y)])
	}
	return straight(img.At(x, y))
}

// ink is Pillow's conversion of one CMYK channel: what black leaves, less the share of the ink.
func ink(c, k byte) byte {
	rest := int(255 - k)
	t := int(c)*rest + 128
	return byte(max(0, rest-((t>>8)+t)>>8))
}

// straight returns a color without its alpha.
func straight(c color.Color) (r, g, b byte) {
	n, _ := color.NRGBAModel.Convert(c).(color.NRGBA)
	if n.A == 0 { // the model forgets the color of what is transparent
		if exact, ok := c.(color.NRGBA); ok {
			n = exact
		}
	}
	return n.R, n.G, n.B
}

func rgb8(c color.YCbCr) (r, g, b byte) { return color.YCbCrToRGB(c.Y, c.Cb, c.Cr) }
