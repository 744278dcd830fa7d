package imaging

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
)

// Picture is a decoded file: one frame or, for animations, several of one size, turned as EXIF says.
type Picture struct {
	// Format is png, jpeg, gif, webp, bmp or tiff.
	Format string
	// Width and Height are those of every frame.
	Width, Height int
	// Frames are in the order in which they are shown.
	Frames []image.Image
	// Alpha is true when the file's kind of pixel has transparency, even if no pixel uses it. Pictures with a palette
	// count.
	Alpha bool
	// rounded says that upstream rounds the colours of such a file, see throughYUV.
	rounded bool
}

// maxPixels bounds the size of one frame whatever memory there is: 16384x16384.
const maxPixels = 1 << 28

// ErrUnknown is what Open fails with on files of no format that it knows.
var ErrUnknown = errors.New("it is none of png, jpeg, gif, webp, bmp and tiff")

// format is one kind of file: how it begins, how its size is read and how it is decoded.
type format struct {
	name   string
	is     func(data []byte) bool
	config func(data []byte) (image.Config, error)
	frames func(data []byte) (int, error) // nil: one
	decode func(data []byte) ([]image.Image, error)
	exif   func(data []byte) []byte // nil: none
	opaque func(data []byte) bool   // nil: the decoded picture tells
}

var formats = []format{
	{name: "png", is: starts("\x89PNG\r\n\x1a\n"), config: byReader(png.DecodeConfig), frames: countPNG, decode: decodePNG, exif: pngExif},
	{name: "jpeg", is: starts("\xff\xd8"), config: byReader(jpeg.DecodeConfig), decode: decodeJPEG, exif: jpegExif},
	{name: "gif", is: starts("GIF8"), config: byReader(gif.DecodeConfig), frames: countGIF, decode: decodeGIF},
	{name: "webp", is: isWebP, config: webpConfig, frames: countWebP, decode: decodeWebP, exif: webpExif, opaque: webpOpaque},
	{name: "bmp", is: starts("BM"), config: byReader(bmp.DecodeConfig), decode: decodeBMP},
	{name: "tiff", is: isTIFF, config: byReader(tiff.DecodeConfig), decode: single(tiff.Decode), exif: func(data []byte) []byte { return data }},
}

// Open decodes a PNG, JPEG, GIF, WebP, BMP or TIFF file. It fails with a *SizeError before decoding when the picture
// and the tensor made of it would not fit into the free memory, and on anything else that is no whole picture.
func Open(data []byte) (*Picture, error) {
	for _, f := range formats {
		if f.is(data) {
			p, err := f.open(data)
			if err != nil {
				return nil, fmt.Errorf("decoding a %s picture: %w", f.name, noEOF(err))
			}
			return p, nil
		}
	}
	return nil, fmt.Errorf("decoding a picture: %w", ErrUnknown)
}

func (f format) open(data []byte) (*Picture, error) {
	c, err := f.config(data)
	if err != nil {
		return nil, err
	}
	if c.Width < 1 || c.Height < 1 {
		return nil, fmt.Errorf("its size is %dx%d", c.Width, c.Height)
	}
	if int64(c.Width)*int64(c.Height) > maxPixels {
		return nil, fmt.Errorf("%dx%d are more than %d pixels", c.Width, c.Height, maxPixels)
	}
	frames := 1
	if f.frames != nil {
		if frames, err = f.frames(data); err != nil {
			return nil, err
		}
	}
	const perPixel = 6 // decoded bytes, and a tensor with alpha, in float32s
	what := fmt.Sprintf("a picture of %dx%d with %d frames", c.Width, c.Height, frames)
	if err := CheckSize(what, frames, c.Height, c.Width, perPixel); err != nil {
		return nil, err
	}
	p := &Picture{Format: f.name}
	if p.Frames, err = f.decode(data); err != nil {
		return nil, err
	}
	if len(p.Frames) == 0 {
		return nil, errors.New("there is no frame in it")
	}
	_, palette := p.Frames[0].(*image.Paletted)
	p.rounded = f.name == "gif" || f.name == "bmp" && !palette
	p.Alpha = hasAlpha(p.Frames[0]) && (f.opaque == nil || !f.opaque(data))
	if f.exif != nil {
		p.turn(orientation(f.exif(data)))
	}
	b := p.Frames[0].Bounds()
	p.Width, p.Height = b.Dx(), b.Dy()
	return p, nil
}

func starts(magic string) func([]byte) bool {
	return func(data []byte) bool { return bytes.HasPrefix(data, []byte(magic)) }
}

func isTIFF(data []byte) bool { return starts("II*\x00")(data) || starts("MM\x00*")(data) }

func byReader(config func(r io.Reader) (image.Config, error)) func([]byte) (image.Config, error) {
	return func(data []byte) (image.Config, error) { return config(bytes.NewReader(data)) }
}

func single(decode func(r io.Reader) (image.Image, error)) func([]byte) ([]image.Image, error) {
	return func(data []byte) ([]image.Image, error) {
		img, err := decode(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		return []image.Image{img}, nil
	}
}

func decodeJPEG(data []byte) ([]image.Image, error) {
	img, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return []image.Image{jpegColours(img)}, nil
}

// hasAlpha tells by the type of the decoded picture, which stands for the kind of pixel in the file.
func hasAlpha(img image.Image) bool {
	switch img.(type) {
	case *image.NRGBA, *image.NRGBA64, *image.Paletted, *image.NYCbCrA:
		return true
	}
	return false
}
