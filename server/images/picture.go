package images

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	_ "image/gif" // decoders for image.Decode
	"image/jpeg"
	_ "image/png" // the same

	_ "golang.org/x/image/bmp"  // the same
	_ "golang.org/x/image/tiff" // the same
	_ "golang.org/x/image/webp" // the same

	"comfygo/internal/imaging"
	"comfygo/internal/webp"
	"comfygo/server/reply"
)

const (
	// imagesAtATime bounds the memory that pictures take: each may be large.
	imagesAtATime = 2
	// maxPicturePixels is Pillow's bound, above which it takes a picture for an attack.
	maxPicturePixels = 178956970
	maxPictureBytes  = 1 << 30
)

// Picture is a decoded file with what its pixels are in the file: L, LA, P, RGB or RGBA.
type Picture struct {
	img  image.Image
	mode string
	// clear is the colour that the file says is transparent, in place of alpha.
	clear    [3]uint8
	hasClear bool
}

// WithImage decodes a file and lets f make something of it; only a few are worked on at a time.
func (s *Service) WithImage(ctx context.Context, path string, f func(Picture) ([]byte, error)) ([]byte, error) {
	select {
	case s.tokens <- struct{}{}:
		defer func() { <-s.tokens }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	data, err := s.Disk.Read(path, maxPictureBytes)
	if err != nil {
		return nil, reply.Trouble("reading a picture: %w", err)
	}
	p, err := Decode(data)
	if err != nil {
		return nil, reply.Trouble("reading a picture: %w", err)
	}
	out, err := f(p)
	if err != nil {
		return nil, reply.Trouble("making a picture: %w", err)
	}
	return out, nil
}

// Decode reads a picture, of an animation the first frame.
func Decode(data []byte) (Picture, error) {
	if img, opaque, err := imaging.FirstWebP(data, maxPicturePixels); !errors.Is(err, image.ErrFormat) {
		p := Picture{img: img, mode: "RGBA"}
		if opaque {
			p.mode = "RGB"
		}
		return p, err
	}
	c, format, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return Picture{}, err
	}
	if c.Width < 1 || c.Height < 1 || int64(c.Width)*int64(c.Height) > maxPicturePixels {
		return Picture{}, fmt.Errorf("a size of %dx%d", c.Width, c.Height)
	}
	if err := imaging.CheckSize("a picture", c.Height, c.Width, 3); err != nil {
		return Picture{}, err
	}
	img, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return Picture{}, err
	}
	p := Picture{img: img, mode: modeOf(img)}
	switch format {
	case "png":
		p.readPNG(data)
	case "jpeg":
		p.img = imaging.SmoothJPEG(img)
	}
	return p, nil
}

// modeOf tells the kind of pixel from the decoded picture.
func modeOf(img image.Image) string {
	switch img := img.(type) {
	case *image.Gray, *image.Gray16:
		return "L"
	case *image.Paletted:
		return "P"
	case *image.NRGBA, *image.NRGBA64, *image.NYCbCrA:
		return "RGBA"
	case interface{ Opaque() bool }:
		if !img.Opaque() {
			return "RGBA"
		}
	}
	return "RGB"
}

// readPNG takes from the file what decoding loses: the kind of pixel, and the one transparent colour.
func (p *Picture) readPNG(data []byte) {
	const header = 8 + 8 // signature; length and name of IHDR
	if len(data) < header+13 {
		return
	}
	depth, kind := data[header+8], data[header+9]
	mode, ok := map[byte]string{0: "L", 2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}[kind]
	if !ok {
		return
	}
	if kind == 4 && depth == 16 {
		mode = "RGBA"
	}
	p.mode = mode
	trns := pngChunk(data, "tRNS")
	switch {
	case kind == 0 && len(trns) >= 2:
		v := sample(trns, depth)
		p.clear, p.hasClear = [3]uint8{v, v, v}, true
	case kind == 2 && len(trns) >= 6:
		p.clear, p.hasClear = [3]uint8{sample(trns, depth), sample(trns[2:], depth), sample(trns[4:], depth)}, true
	case kind == 3:
		p.clearIndex(trns)
	}
}

func sample(b []byte, depth byte) uint8 {
	v := binary.BigEndian.Uint16(b)
	if depth == 16 {
		v >>= 8
	}
	return uint8(v) //nolint:gosec // 8 bits or less
}

// clearIndex takes over a palette's transparency if it is that of one colour; more cannot be said without alpha.
func (p *Picture) clearIndex(trns []byte) {
	at := -1
	for i, a := range trns {
		switch {
		case a == 0 && at < 0:
			at = i
		case a != 255:
			return
		}
	}
	pal, ok := p.img.(*image.Paletted)
	if at < 0 || !ok || at >= len(pal.Palette) {
		return
	}
	c := color.NRGBAModel.Convert(pal.Palette[at]).(color.NRGBA)
	if n, is := pal.Palette[at].(color.NRGBA); is {
		c = n
	}
	p.clear, p.hasClear = [3]uint8{c.R, c.G, c.B}, true
}

// pngChunk returns the contents of a chunk that stands before the pixels.
func pngChunk(data []byte, name string) []byte {
	for at := 8; at+12 <= len(data); {
		size := int(binary.BigEndian.Uint32(data[at:]))
		kind := string(data[at+4 : at+8])
		if size < 0 || size > len(data)-at-12 || kind == "IDAT" {
			return nil
		}
		if kind == name {
			return data[at+8 : at+8+size]
		}
		at += 12 + size
	}
	return nil
}

// Nrgba returns the pixels as 8-bit RGBA, not premultiplied.
func (p *Picture) Nrgba() *image.NRGBA {
	if n, ok := p.img.(*image.NRGBA); ok && n.Rect.Min == (image.Point{}) && n.Stride == 4*n.Rect.Dx() {
		return n
	}
	b := p.img.Bounds()
	out := image.NewNRGBA(image.Rectangle{Max: b.Size()})
	at := 0
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			c, ok := p.img.At(x, y).(color.NRGBA)
			if !ok {
				c = color.NRGBAModel.Convert(p.img.At(x, y)).(color.NRGBA)
			}
			out.Pix[at], out.Pix[at+1], out.Pix[at+2], out.Pix[at+3] = c.R, c.G, c.B, c.A
			at += 4
		}
	}
	return out
}

// opaque returns the pixels as RGB without alpha, in an image whose alpha is 255 everywhere.
func (p *Picture) opaque() *image.NRGBA {
	src := p.Nrgba()
	out := image.NewNRGBA(src.Rect)
	copy(out.Pix, src.Pix)
	for i := 3; i < len(out.Pix); i += 4 {
		out.Pix[i] = 255
	}
	return out
}

// Preview encodes the picture as "webp" or "jpeg"; rgb drops the alpha.
func (p *Picture) Preview(format string, quality int, rgb bool) ([]byte, error) {
	var b bytes.Buffer
	if format == "jpeg" {
		if err := jpeg.Encode(&b, p.opaque(), &jpeg.Options{Quality: quality}); err != nil {
			return nil, err
		}
		return b.Bytes(), nil
	}
	img := p.Nrgba()
	if rgb || !p.Transparent() {
		img = p.opaque()
	}
	if err := webp.Encode(&b, img, quality, !rgb && p.Transparent()); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// Transparent reports whether the kind of pixel has alpha, or the file names a transparent colour.
func (p *Picture) Transparent() bool {
	if p.mode == "P" {
		o, ok := p.img.(interface{ Opaque() bool })
		return ok && !o.Opaque()
	}
	return p.mode == "RGBA" || p.mode == "LA" || p.hasClear
}

// Channel encodes the colours ("rgb") or the alpha ("a") of the picture as PNG. Only RGBA has an alpha here.
func (p *Picture) Channel(name string) ([]byte, error) {
	src := p.Nrgba()
	w, h := src.Rect.Dx(), src.Rect.Dy()
	var b bytes.Buffer
	if name == "a" {
		pix := make([]byte, len(src.Pix))
		for i := 3; i < len(pix); i += 4 {
			pix[i] = 255
			if p.mode == "RGBA" {
				pix[i] = src.Pix[i]
			}
		}
		err := imaging.WritePNG(&b, pix, w, h, 4, imaging.PNGOptions{Level: 6})
		return b.Bytes(), err
	}
	pix := make([]byte, 0, w*h*3)
	for i := 0; i < len(src.Pix); i += 4 {
		pix = append(pix, src.Pix[i], src.Pix[i+1], src.Pix[i+2])
	}
	if err := imaging.WritePNG(&b, pix, w, h, 3, imaging.PNGOptions{Level: 6}); err != nil {
		return nil, err
	}
	if !p.hasClear {
		return b.Bytes(), nil
	}
	return withClear(b.Bytes(), p.clear), nil
}

// withClear puts a tRNS chunk with one transparent colour behind the header of an RGB PNG file.
func withClear(file []byte, c [3]uint8) []byte {
	const headerEnd = 8 + 25
	chunk := []byte{0, 0, 0, 6, 't', 'R', 'N', 'S', 0, c[0], 0, c[1], 0, c[2]}
	chunk = binary.BigEndian.AppendUint32(chunk, crc32.ChecksumIEEE(chunk[4:]))
	out := append([]byte{}, file[:headerEnd]...)
	return append(append(out, chunk...), file[headerEnd:]...)
}
