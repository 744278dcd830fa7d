package nodes

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"

	"golang.org/x/image/draw"
)

// Preview is an image sent while a node works.
type Preview struct {
	// Format is JPEG or PNG.
	Format string
	Image  image.Image
	// MaxSize, if positive, is the longer side of the sent image.
	MaxSize int
	// Data, if set, is the encoded image to send; Image is then ignored.
	Data []byte
	// Animation, if set, is an animated WebP file that clients get in place of the image when they are told the format.
	Animation []byte
}

// previewQuality is the JPEG quality of previews, upstream's own.
const previewQuality = 95

// Encode returns the image as it is sent: scaled so that it just fits in a square of MaxSize, in its format.
func (p *Preview) Encode() ([]byte, error) {
	if p.Data != nil {
		return p.Data, nil
	}
	if p.Image == nil {
		return nil, fmt.Errorf("encoding a preview: there is no image")
	}
	img := Contain(p.Image, p.MaxSize)
	var b bytes.Buffer
	var err error
	if p.Format == "PNG" {
		err = (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&b, img)
	} else {
		err = jpeg.Encode(&b, img, &jpeg.Options{Quality: previewQuality})
	}
	if err != nil {
		return nil, fmt.Errorf("encoding a preview: %w", err)
	}
	return b.Bytes(), nil
}

// Contain scales an image so that it just fits in a square; 0 leaves it.
func Contain(img image.Image, size int) image.Image {
	w, h := img.Bounds().Dx(), img.Bounds().Dy()
	if size <= 0 || w == 0 || h == 0 {
		return img
	}
	nw, nh := size, size
	if w > h {
		nh = max(1, (2*h*size+w)/(2*w))
	} else if h > w {
		nw = max(1, (2*w*size+h)/(2*h))
	}
	if nw == w && nh == h {
		return img
	}
	dst := image.NewRGBA(image.Rect(0, 0, nw, nh))
	if src, ok := img.(*image.RGBA); ok && src.Opaque() && nw >= w && nh >= h {
		enlarge(dst, src)
		return dst
	}
	draw.BiLinear.Scale(dst, dst.Bounds(), img, img.Bounds(), draw.Src, nil)
	return dst
}

// tap is where a place between two neighbours lies: at first, by frac 256ths further.
type tap struct{ first, second, frac int }

// taps returns the places of n pixels in a line of size pixels.
func taps(size, n int) []tap {
	out := make([]tap, n)
	for i := range out {
		at := max((2*i+1)*size*128/n-128, 0) // in 256ths, of pixel centres
		first := min(at>>8, size-1)
		out[i] = tap{first: first, second: min(first+1, size-1), frac: at & 255}
	}
	return out
}

// enlarge scales an opaque image up, bilinear. It keeps previews cheap: the general scaler takes ten times as long
// for the latent's few pixels.
func enlarge(dst, src *image.RGBA) {
	sw, sh := src.Bounds().Dx(), src.Bounds().Dy()
	dw, dh := dst.Bounds().Dx(), dst.Bounds().Dy()
	across := taps(sw, dw)
	line := make([]int, sw*3) // a row between two rows, in 256ths
	for y, t := range taps(sh, dh) {
		upper, lower := src.Pix[t.first*src.Stride:], src.Pix[t.second*src.Stride:]
		for x := range sw {
			for k := range 3 {
				line[3*x+k] = int(upper[4*x+k])*(256-t.frac) + int(lower[4*x+k])*t.frac
			}
		}
		row := dst.Pix[y*dst.Stride:][:4*dw]
		for x, t := range across {
			a, b, to := line[3*t.first:][:3], line[3*t.second:][:3], row[4*x:][:4]
			for k := range 3 {
				to[k] = uint8((a[k]*(256-t.frac) + b[k]*t.frac + 1<<15) >> 16)
			}
			to[3] = 255
		}
	}
}
