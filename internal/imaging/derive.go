package imaging

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"io"

	"comfygo/internal/imaging/codec"
	"comfygo/internal/webp"
)

// Source sets the bounds for decoding an image file.
type Source struct {
	// Data is the file.
	Data []byte
	// Limits bound what the file may announce.
	Limits codec.Limits
	// Budget is charged for memory that is held during processing; nil means the process's budget.
	Budget Budget
}

// first opens the file, reserves what decoding holds, the bytes beside it and the extra ones, and calls use with the first
// frame while the reservation lasts.
func (s Source) first(ctx context.Context, beside int64, extra func(f *codec.File) int64, use func(f *codec.File, frame *codec.Frame) error) error {
	f, err := codec.Open(s.Data, s.Limits)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("a %s image of %dx%d", f.Format, f.Width, f.Height)
	release, err := budgetOr(s.Budget).Reserve(ctx, what, f.FrameBytes(beside, extra(f)))
	if err != nil {
		return err
	}
	defer f.Settle(release)
	defer codec.Reclaim(f.Working)
	return f.Decode(ctx, func(frame *codec.Frame) error {
		if err := use(f, frame); err != nil {
			return err
		}
		return codec.ErrStop
	})
}

// Preview writes the first frame as "webp" or "jpeg" with a quality of 1 to 100; opaque drops transparency, which jpeg
// does not have.
func (s Source) Preview(ctx context.Context, w io.Writer, format string, quality int, opaque bool) error {
	opaque = opaque || format == "jpeg"
	extra := func(f *codec.File) int64 { return PreviewBytes(f.Info, format, opaque) }
	return s.first(ctx, 0, extra, func(_ *codec.File, frame *codec.Frame) error {
		rows := rowsOf(ctx, frame)
		if format == "jpeg" {
			return rows.jpeg(w, quality)
		}
		alpha := !opaque && transparent(frame)
		return webp.EncodeRows(w, webp.Rows{Width: frame.Width, Height: frame.Height, Read: rows.read}, quality, alpha)
	})
}

// PreviewBytes returns the memory that Preview holds beside the decoder.
func PreviewBytes(i codec.Info, format string, opaque bool) int64 {
	if format == "jpeg" {
		return int64(i.Width)*jpegBand*4 + int64(i.Width)*int64(i.Height)/4
	}
	return webp.Bytes(i.Width, i.Height, !opaque && i.Layout.Alpha())
}

// Channel writes the colors ("rgb") or the alpha ("a") of the first frame as PNG, in the alpha of a black image. Only RGBA
// has an alpha here.
func (s Source) Channel(ctx context.Context, w io.Writer, name string) error {
	none := func(*codec.File) int64 { return 0 }
	return s.first(ctx, 0, none, func(_ *codec.File, frame *codec.Frame) error {
		rows := rowsOf(ctx, frame)
		pixels := make([]byte, 4*frame.Width)
		const level = 6
		if name == "a" {
			has := mode(frame) == "RGBA"
			return WritePNGRows(w, frame.Width, frame.Height, 4, PNGOptions{Level: level}, func(y int, to []byte) ([]byte, error) {
				err := rows.read(y, pixels)
				for i := 3; i < len(to); i += 4 {
					to[i] = 255
					if has {
						to[i] = pixels[i]
					}
				}
				return to, err
			})
		}
		return WritePNGRows(w, frame.Width, frame.Height, 3, PNGOptions{Level: level, Clear: frame.Clear}, func(y int, to []byte) ([]byte, error) {
			err := rows.read(y, pixels)
			for x := range frame.Width {
				copy(to[3*x:3*x+3], pixels[4*x:])
			}
			return to, err
		})
	})
}

// Mask writes the first frame of an image with the alpha of another one of its size, as "webp" or "png". texts go into a
// PNG.
func (s Source) Mask(ctx context.Context, w io.Writer, mask Source, format string, texts []Text) error {
	var alpha []byte
	var size image.Point
	plane := func(f *codec.File) int64 { return int64(f.Width) * int64(f.Height) }
	err := mask.first(ctx, int64(len(s.Data)), plane, func(_ *codec.File, frame *codec.Frame) error {
		size = image.Pt(frame.Width, frame.Height)
		alpha = make([]byte, size.X*size.Y)
		rows, pixels := rowsOf(ctx, frame), make([]byte, 4*size.X)
		for y := range size.Y {
			if err := rows.read(y, pixels); err != nil {
				return err
			}
			for x := range size.X {
				alpha[y*size.X+x] = pixels[4*x+3]
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the mask: %w", err)
	}
	extra := func(f *codec.File) int64 { return MaskBytes(f.Info, format) }
	return s.first(ctx, int64(len(alpha)+len(mask.Data)), extra, func(_ *codec.File, frame *codec.Frame) error {
		if have := image.Pt(frame.Width, frame.Height); have != size {
			return fmt.Errorf("the mask is %dx%d, the original %dx%d", size.X, size.Y, have.X, have.Y)
		}
		rows := rowsOf(ctx, frame)
		read := func(y int, to []byte) error {
			err := rows.read(y, to)
			for x := range size.X {
				to[4*x+3] = alpha[y*size.X+x]
			}
			return err
		}
		if format == "webp" {
			const quality = 80 // Pillow's
			return webp.EncodeRows(w, webp.Rows{Width: size.X, Height: size.Y, Read: read}, quality, true)
		}
		const level = 4
		return WritePNGRows(w, size.X, size.Y, 4, PNGOptions{Level: level, Text: texts}, func(y int, to []byte) ([]byte, error) { return to, read(y, to) })
	})
}

// MaskBytes returns the memory that Mask holds beside the decoder of the original and the alpha.
func MaskBytes(i codec.Info, format string) int64 {
	if format == "webp" {
		return webp.Bytes(i.Width, i.Height, true)
	}
	return 0
}

// mode is Pillow's name of the kind of pixel.
func mode(f *codec.Frame) string {
	if f.Mode != "" {
		return f.Mode
	}
	return f.Layout.Mode()
}

// transparent reports whether the kind of pixel has alpha, or the file names a transparent color; of palettes, whether a
// pixel uses it.
func transparent(f *codec.Frame) bool {
	switch mode(f) {
	case "P":
		return f.AnyClear()
	case "RGBA", "LA":
		return true
	}
	return f.Clear != nil
}

// frameRows reads a frame row by row until its context ends.
type frameRows struct {
	ctx     context.Context
	frame   *codec.Frame
	scratch codec.Scratch
}

func rowsOf(ctx context.Context, f *codec.Frame) *frameRows { return &frameRows{ctx: ctx, frame: f} }

func (r *frameRows) read(y int, to []byte) error {
	if err := context.Cause(r.ctx); err != nil {
		return err
	}
	r.frame.RGBA(y, to, &r.scratch)
	return nil
}

// jpegBand is the number of rows that are converted at a time: the height of an MCU of halved chroma.
const jpegBand = 16

// jpeg writes the frame without alpha.
func (r *frameRows) jpeg(w io.Writer, quality int) error {
	img := &bandImage{rows: r, band: image.NewRGBA(image.Rect(0, 0, r.frame.Width, jpegBand)), at: -1}
	buffered := bufio.NewWriter(w)
	err := jpeg.Encode(buffered, img, &jpeg.Options{Quality: quality})
	return errors.Join(img.err, err, buffered.Flush())
}

// bandImage converts the rows that an encoder requests, a band at a time.
type bandImage struct {
	rows *frameRows
	band *image.RGBA
	at   int // the band that is converted
	err  error
}

// ColorModel implements image.Image.
func (b *bandImage) ColorModel() color.Model { return color.RGBAModel }

// Bounds implements image.Image.
func (b *bandImage) Bounds() image.Rectangle {
	return image.Rect(0, 0, b.rows.frame.Width, b.rows.frame.Height)
}

// At implements image.Image.
func (b *bandImage) At(x, y int) color.Color {
	if n := y / jpegBand; n != b.at {
		b.convert(n)
	}
	return b.band.RGBAAt(x, y%jpegBand)
}

func (b *bandImage) convert(n int) {
	b.at = n
	for i := range min(jpegBand, b.rows.frame.Height-n*jpegBand) {
		row := b.band.Pix[i*b.band.Stride:][:4*b.rows.frame.Width]
		if err := b.rows.read(n*jpegBand+i, row); err != nil {
			b.err = err
			return
		}
		for k := 3; k < len(row); k += 4 {
			row[k] = 255
		}
	}
}
