package webp

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"

	"golang.org/x/image/vp8"
	"golang.org/x/image/vp8l"

	"comfygo/internal/imaging/codec"
)

// ctxReader reads bytes until its context ends.
type ctxReader struct {
	ctx  context.Context
	data []byte
}

func reader(ctx context.Context, data []byte) *ctxReader { return &ctxReader{ctx, data} }

func (r *ctxReader) Read(p []byte) (int, error) {
	if err := context.Cause(r.ctx); err != nil {
		return 0, err
	}
	if len(r.data) == 0 {
		return 0, io.EOF
	}
	const most = 1 << 12
	n := copy(p[:min(len(p), most)], r.data)
	r.data = r.data[n:]
	return n, nil
}

// decode decodes one image.
func (p *part) decode(ctx context.Context) (*codec.Frame, error) {
	f := &codec.Frame{Width: p.at.Dx(), Height: p.at.Dy(), Layout: p.layout()}
	size, _, err := p.measure()
	if err != nil {
		return nil, err
	}
	if size != p.at.Size() {
		return nil, fmt.Errorf("an image is %v, announced as %v", size, p.at.Size())
	}
	err = codec.Detach(ctx, func() error { return p.fill(ctx, f) })
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (p *part) fill(ctx context.Context, f *codec.Frame) error {
	if p.lossless != nil {
		img, err := vp8l.Decode(reader(ctx, p.lossless))
		if err != nil {
			return err
		}
		n, ok := img.(*image.NRGBA)
		if !ok || n.Stride != 4*f.Width {
			return fmt.Errorf("lossless pixels came as %T", img)
		}
		f.Pix = n.Pix
		return nil
	}
	if p.alpha != nil {
		var err error
		if f.Alpha, err = readAlpha(ctx, p.alpha, f.Width, f.Height); err != nil {
			return fmt.Errorf("reading alpha: %w", err)
		}
		codec.Reclaim(4 * int64(len(f.Alpha)))
	}
	d := vp8.NewDecoder()
	d.Init(reader(ctx, p.lossy), len(p.lossy))
	if _, err := d.DecodeFrameHeader(); err != nil {
		return err
	}
	img, err := d.DecodeFrame()
	if err != nil {
		return err
	}
	f.YUV = img
	return nil
}

// readAlpha decodes an ALPH chunk (RFC 9649, 2.7.1.2).
func readAlpha(ctx context.Context, data []byte, w, h int) ([]byte, error) {
	if len(data) < 1 {
		return nil, io.ErrUnexpectedEOF
	}
	out := make([]byte, w*h)
	switch compression := data[0] & 3; compression {
	case 0:
		if len(data)-1 < len(out) {
			return nil, io.ErrUnexpectedEOF
		}
		copy(out, data[1:])
	case 1:
		// The stream has no header of its own.
		bits := uint32(w-1) | uint32(h-1)<<14
		head := []byte{0x2f, byte(bits), byte(bits >> 8), byte(bits >> 16), byte(bits >> 24)}
		img, err := vp8l.Decode(io.MultiReader(reader(ctx, head), reader(ctx, data[1:])))
		if err != nil {
			return nil, err
		}
		n, ok := img.(*image.NRGBA)
		if !ok {
			return nil, fmt.Errorf("alpha came as %T", img)
		}
		for i := range out {
			out[i] = n.Pix[4*i+1] // green
		}
	default:
		return nil, errors.New("it is compressed in an unknown way")
	}
	unfilter(out, w, data[0]>>2&3)
	return out, nil
}

// unfilter undoes the prediction of alpha from its left, upper or both neighbors.
func unfilter(pix []byte, w int, kind byte) {
	if kind == 0 {
		return
	}
	for i := 1; i < w; i++ {
		pix[i] += pix[i-1]
	}
	for i := w; i < len(pix); i += w {
		row, above := pix[i:i+w], pix[i-w:i]
		row[0] += above[0]
		for x := 1; x < w; x++ {
			switch kind {
			case 1:
				row[x] += row[x-1]
			case 2:
				row[x] += above[x]
			case 3:
				row[x] += byte(max(0, min(int(row[x-1])+int(above[x])-int(above[x-1]), 255)))
			}
		}
	}
}
