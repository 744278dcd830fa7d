package executor

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"sync"

	"golang.org/x/image/draw"

	"comfygo/nodes"
)

// previewQuality is the JPEG quality of previews, upstream's own.
const previewQuality = 95

// Preview is a picture of work in progress. It is encoded when the first client wants it, and only once.
type Preview struct {
	source nodes.Preview
	once   sync.Once
	data   []byte
	err    error
}

// MIME returns image/png or image/jpeg.
func (p *Preview) MIME() string {
	if p.source.Format == "PNG" {
		return "image/png"
	}
	return "image/jpeg"
}

// TypeNumber is the number of the format in binary messages: 1 for JPEG, 2 for PNG.
func (p *Preview) TypeNumber() uint32 {
	if p.source.Format == "PNG" {
		return 2
	}
	return 1
}

// Bytes returns the encoded picture. It may be called from any goroutine.
func (p *Preview) Bytes() ([]byte, error) {
	p.once.Do(func() { p.data, p.err = encode(p.source) })
	return p.data, p.err
}

func encode(p nodes.Preview) ([]byte, error) {
	img := contain(p.Image, p.MaxSize)
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

// contain scales a picture so that it just fits in a square; 0 leaves it.
func contain(img image.Image, size int) image.Image {
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
	draw.BiLinear.Scale(dst, dst.Bounds(), img, img.Bounds(), draw.Src, nil)
	return dst
}
