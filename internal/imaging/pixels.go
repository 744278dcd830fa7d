package imaging

import (
	"image"
	"image/color"

	"comfygo/engine/tensor"
)

// Tensors returns the frames as [B,H,W,3] and their alpha as [B,H,W]; alpha is nil when p.Alpha is false. 8-bit values
// are divided by 255 and 16-bit values by 65535, in float32; those of GIF files and of BMP files without a palette are rounded
// first, see throughYUV.
func (p *Picture) Tensors() (images, alpha *tensor.Tensor) {
	n := len(p.Frames)
	images = tensor.New(n, p.Height, p.Width, 3)
	if p.Alpha {
		alpha = tensor.New(n, p.Height, p.Width)
	}
	parallel(n*p.Height, p.Width*16, func(from, to int) {
		for r := from; r < to; r++ {
			var a []float32
			if alpha != nil {
				a = alpha.Data[r*p.Width:][:p.Width]
			}
			row := images.Data[r*p.Width*3:][:p.Width*3]
			readRow(p.Frames[r/p.Height], r%p.Height, row, a)
			if p.rounded {
				throughYUV(row, a)
			}
		}
	})
	return images, alpha
}

// readRow writes row y of img to rgb and, unless it is nil, to alpha.
func readRow(img image.Image, y int, rgb, alpha []float32) {
	b := img.Bounds()
	set := func(x int, r, g, b, a, full float32) {
		rgb[3*x], rgb[3*x+1], rgb[3*x+2] = r/full, g/full, b/full
		if alpha != nil {
			alpha[x] = a / full
		}
	}
	switch img := img.(type) {
	case *image.Gray16, *image.RGBA64, *image.NRGBA64:
		for x := range b.Dx() {
			c := color.NRGBA64Model.Convert(img.At(b.Min.X+x, b.Min.Y+y)).(color.NRGBA64)
			set(x, float32(c.R), float32(c.G), float32(c.B), float32(c.A), 65535)
		}
	case *image.YCbCr:
		for x := range b.Dx() {
			at := img.COffset(b.Min.X+x, b.Min.Y+y)
			cr, cg, cb := color.YCbCrToRGB(img.Y[img.YOffset(b.Min.X+x, b.Min.Y+y)], img.Cb[at], img.Cr[at])
			set(x, float32(cr), float32(cg), float32(cb), 255, 255)
		}
	case *image.NRGBA:
		row := img.Pix[img.PixOffset(b.Min.X, b.Min.Y+y):]
		for x := range b.Dx() {
			set(x, float32(row[4*x]), float32(row[4*x+1]), float32(row[4*x+2]), float32(row[4*x+3]), 255)
		}
	case *image.RGBA:
		row := img.Pix[img.PixOffset(b.Min.X, b.Min.Y+y):]
		for x := range b.Dx() {
			c := color.NRGBA{R: row[4*x], G: row[4*x+1], B: row[4*x+2], A: row[4*x+3]}
			if c.A != 255 {
				c = nrgba(img.RGBAAt(b.Min.X+x, b.Min.Y+y))
			}
			set(x, float32(c.R), float32(c.G), float32(c.B), float32(c.A), 255)
		}
	case *image.Paletted:
		row := img.Pix[img.PixOffset(b.Min.X, b.Min.Y+y):]
		for x := range b.Dx() {
			c := color.NRGBA{A: 255} // an index beyond the palette is black
			if i := int(row[x]); i < len(img.Palette) {
				c = nrgba(img.Palette[i])
			}
			set(x, float32(c.R), float32(c.G), float32(c.B), float32(c.A), 255)
		}
	default:
		for x := range b.Dx() {
			c := nrgba(img.At(b.Min.X+x, b.Min.Y+y))
			set(x, float32(c.R), float32(c.G), float32(c.B), float32(c.A), 255)
		}
	}
}

// nrgba converts a colour to 8 bits without premultiplication. Model conversion would go through premultiplied 16 bits
// and change colours with little alpha.
func nrgba(c color.Color) color.NRGBA {
	if c, ok := c.(color.NRGBA); ok {
		return c
	}
	return color.NRGBAModel.Convert(c).(color.NRGBA)
}

// toNRGBA copies any picture to 8 bits per channel with its corner at 0,0.
func toNRGBA(img image.Image) *image.NRGBA {
	b := img.Bounds()
	out := image.NewNRGBA(image.Rectangle{Max: b.Size()})
	for y := range b.Dy() {
		for x := range b.Dx() {
			out.SetNRGBA(x, y, nrgba(img.At(b.Min.X+x, b.Min.Y+y)))
		}
	}
	return out
}

// turn applies an EXIF orientation (1 to 8) to every frame.
func (p *Picture) turn(orientation int) {
	if orientation == 1 {
		return
	}
	for i, f := range p.Frames {
		p.Frames[i] = turnedCopy(f, orientation)
	}
}

// turned is a picture to be shown turned or mirrored.
type turned struct {
	img  image.Image
	how  int
	w, h int // size of what is shown
}

// turnedCopy returns a picture of the same depth, turned by an EXIF orientation.
func turnedCopy(img image.Image, how int) image.Image {
	b := img.Bounds()
	t := &turned{img: img, how: how, w: b.Dx(), h: b.Dy()}
	if how >= 5 {
		t.w, t.h = t.h, t.w
	}
	return t.copy()
}

// source returns which source pixel is shown at x, y (EXIF 2.3, tag Orientation).
func (t *turned) source(x, y int) (int, int) {
	rx, ry := t.w-1-x, t.h-1-y
	switch t.how {
	case 2:
		x = rx
	case 3:
		x, y = rx, ry
	case 4:
		y = ry
	case 5:
		x, y = y, x
	case 6:
		x, y = y, rx
	case 7:
		x, y = ry, rx
	case 8:
		x, y = ry, x
	}
	b := t.img.Bounds()
	return b.Min.X + x, b.Min.Y + y
}

func (t *turned) copy() image.Image {
	r := image.Rect(0, 0, t.w, t.h)
	switch t.img.(type) {
	case *image.Gray16, *image.RGBA64, *image.NRGBA64:
		out := image.NewNRGBA64(r)
		for y := range t.h {
			for x := range t.w {
				out.Set(x, y, t.img.At(t.source(x, y)))
			}
		}
		return out
	}
	out := image.NewNRGBA(r)
	for y := range t.h {
		for x := range t.w {
			out.SetNRGBA(x, y, nrgba(t.img.At(t.source(x, y))))
		}
	}
	return out
}
