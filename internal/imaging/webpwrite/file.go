package webpwrite

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// Flags of the chunk VP8X.
const (
	flagAnimation = 1 << 1
	flagEXIF      = 1 << 3
	flagAlpha     = 1 << 4
)

// unwrap takes the chunks of the pixels out of a file of one image.
func unwrap(file []byte) (bitstream, error) {
	const head = 12
	if len(file) < head+8 || string(file[:4]) != "RIFF" || string(file[8:12]) != "WEBP" {
		return bitstream{}, errors.New("writing webp: libwebp wrote no webp file")
	}
	var b bitstream
	for rest := file[head:]; len(rest) >= 8; {
		size := int(binary.LittleEndian.Uint32(rest[4:]))
		end := 8 + size + size%2
		if size < 0 || end > len(rest) {
			return bitstream{}, errors.New("writing webp: libwebp wrote a chunk that is cut short")
		}
		switch name := string(rest[:4]); name {
		case "ALPH":
			b.alpha = true
			b.chunks = append(b.chunks, rest[:end]...)
		case "VP8 ", "VP8L":
			// the transparency bit follows the signature and two sides of 14 bits
			const alphaBit = 4
			b.alpha = b.alpha || name == "VP8L" && size > alphaBit && rest[8+alphaBit]&0x10 != 0
			b.chunks = append(b.chunks, rest[:end]...)
		}
		rest = rest[end:]
	}
	if b.chunks == nil {
		return bitstream{}, errors.New("writing webp: libwebp wrote no pixels")
	}
	return b, nil
}

func appendChunk(to []byte, name string, data []byte) []byte {
	to = append(to, name...)
	to = binary.LittleEndian.AppendUint32(to, uint32(len(data))) //nolint:gosec // held below 4 GiB by writeFile
	to = append(to, data...)
	if len(data)%2 != 0 {
		to = append(to, 0)
	}
	return to
}

func append24(to []byte, v int) []byte { return append(to, byte(v), byte(v>>8), byte(v>>16)) }

// extended returns the chunk that lists the other parts of the file.
func extended(flags byte, width, height int) []byte {
	return appendChunk(nil, "VP8X", append24(append24([]byte{flags, 0, 0, 0}, width-1), height-1))
}

// writeFile writes the file around its chunks.
func writeFile(w io.Writer, chunks ...[]byte) error {
	size := int64(4)
	for _, c := range chunks {
		size += int64(len(c))
	}
	if size > 1<<32-10 {
		return fmt.Errorf("writing webp: the file has %d bytes; the format holds 4 GiB", size)
	}
	head := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(size))
	if _, err := w.Write(append(head, "WEBP"...)); err != nil {
		return fmt.Errorf("writing webp: %w", err)
	}
	for _, c := range chunks {
		if _, err := w.Write(c); err != nil {
			return fmt.Errorf("writing webp: %w", err)
		}
	}
	return nil
}

// WriteStill writes a file of one image.
func WriteStill(ctx context.Context, w io.Writer, m Image, o Options) error {
	if err := m.check(); err != nil {
		return err
	}
	b, err := encode(ctx, m, o)
	if err != nil {
		return err
	}
	if len(o.EXIF) == 0 && !bytes.HasPrefix(b.chunks, []byte("ALPH")) {
		return writeFile(w, b.chunks)
	}
	flags := byte(0)
	if b.alpha {
		flags |= flagAlpha
	}
	var exif []byte
	if len(o.EXIF) > 0 {
		flags |= flagEXIF
		exif = appendChunk(nil, "EXIF", o.EXIF)
	}
	return writeFile(w, extended(flags, m.Width, m.Height), b.chunks, exif)
}

// WriteAnimation writes a file of count frames of one size that repeats forever. frame returns the n-th, duration is the time that each is shown,
// in milliseconds. Frames that equal the one before, or are close to it in a lossy file, lengthen it, and of lossless frames only the changed
// rectangle is written, as libwebp does. One frame makes a still image.
func WriteAnimation(ctx context.Context, w io.Writer, count, duration int, o Options, frame func(n int) (Image, error)) error {
	if count < 1 {
		return errors.New("writing webp: there are no frames")
	}
	last, err := frame(0)
	if err == nil {
		err = last.check()
	}
	if err != nil {
		return err
	}
	if count == 1 {
		return WriteStill(ctx, w, last, o)
	}
	a := &animation{o: o}
	if err := a.add(ctx, last, area{0, 0, last.Width, last.Height}); err != nil {
		return err
	}
	a.times = append(a.times, duration)
	for n := 1; n < count; n++ {
		next, err := frame(n)
		if err != nil {
			return err
		}
		if next.Width != last.Width || next.Height != last.Height || next.Channels != last.Channels || len(next.Pix) != len(last.Pix) {
			return fmt.Errorf("writing webp: frame %d is %dx%dx%d, those before are %dx%dx%d", n, next.Width, next.Height, next.Channels, last.Width, last.Height, last.Channels)
		}
		changed := difference(last, next)
		if !o.Lossless && alike(last, next, tolerance(o.Quality)) {
			changed = area{}
		}
		if k := len(a.times) - 1; changed.empty() && a.times[k]+duration < 1<<24 {
			a.times[k] += duration
			continue
		}
		if !o.Lossless || changed.empty() {
			changed = area{0, 0, next.Width, next.Height}
		}
		if err := a.add(ctx, next, changed); err != nil {
			return err
		}
		a.times = append(a.times, duration)
		last = next
	}
	if len(a.frames) == 1 {
		return WriteStill(ctx, w, last, o)
	}
	return a.write(w, last.Width, last.Height)
}

// animation collects the frames of a file.
type animation struct {
	o      Options
	alpha  bool
	frames []bitstream
	areas  []area
	times  []int
}

func (a *animation) add(ctx context.Context, m Image, of area) error {
	b, err := encode(ctx, m.crop(of), a.o)
	if err != nil {
		return err
	}
	a.alpha = a.alpha || b.alpha
	a.frames, a.areas = append(a.frames, b), append(a.areas, of)
	return nil
}

func (a *animation) write(w io.Writer, width, height int) error {
	flags := byte(flagAnimation)
	if a.alpha {
		flags |= flagAlpha
	}
	if len(a.o.EXIF) > 0 {
		flags |= flagEXIF
	}
	chunks := [][]byte{extended(flags, width, height), appendChunk(nil, "ANIM", make([]byte, 6))} // clear background, forever
	for i, b := range a.frames {
		const keepNotBlend = 2 // the frame replaces what is below it, and stays
		r := a.areas[i]
		head := append24(append24(nil, r.x0/2), r.y0/2)
		head = append24(append24(head, r.x1-r.x0-1), r.y1-r.y0-1)
		head = append(append24(head, min(a.times[i], 1<<24-1)), keepNotBlend)
		chunks = append(chunks, appendChunk(nil, "ANMF", append(head, b.chunks...)))
	}
	if len(a.o.EXIF) > 0 {
		chunks = append(chunks, appendChunk(nil, "EXIF", a.o.EXIF))
	}
	return writeFile(w, chunks...)
}

// area is a rectangle without its right and lower edge.
type area struct{ x0, y0, x1, y1 int }

func (r area) empty() bool { return r.x0 >= r.x1 }

// difference returns the rectangle in which two images of one size differ; it begins at even places, which is all that the
// format can say.
func difference(a, b Image) area {
	r := area{x0: a.Width, y0: a.Height}
	stride := a.Width * a.Channels
	for y := range a.Height {
		p, q := a.Pix[y*stride:][:stride], b.Pix[y*stride:][:stride]
		if bytes.Equal(p, q) {
			continue
		}
		r.y0, r.y1 = min(r.y0, y), y+1
		first := 0
		for p[first] == q[first] {
			first++
		}
		last := stride - 1
		for p[last] == q[last] {
			last--
		}
		r.x0, r.x1 = min(r.x0, first/a.Channels), max(r.x1, last/a.Channels+1)
	}
	if !r.empty() {
		r.x0 &^= 1
		r.y0 &^= 1
	}
	return r
}

// tolerance is by how much of 255 the colors of two frames may differ for the second to be left out of a lossy file: 31 at quality 0, 1 at 100, as
// in libwebp's encoder of animations.
func tolerance(quality int) int {
	v := math.Sqrt(float64(quality) / 100)
	return int(31*(1-v) + v + 0.5)
}

// alike reports whether all pixels of two images of one size have the same alpha and colors, weighted by it, no further apart than most.
func alike(a, b Image, most int) bool {
	opaque := min(a.Channels, 3)
	for i := 0; i < len(a.Pix); i += a.Channels {
		alpha := 255
		if a.Channels == 4 {
			if a.Pix[i+3] != b.Pix[i+3] {
				return false
			}
			alpha = int(a.Pix[i+3])
		}
		for k := i; k < i+opaque; k++ {
			if d := int(a.Pix[k]) - int(b.Pix[k]); max(d, -d)*alpha > most*255 {
				return false
			}
		}
	}
	return true
}

// crop copies a part of the image.
func (m Image) crop(r area) Image {
	out := Image{Width: r.x1 - r.x0, Height: r.y1 - r.y0, Channels: m.Channels}
	if out.Width == m.Width && out.Height == m.Height {
		return m
	}
	for y := r.y0; y < r.y1; y++ {
		out.Pix = append(out.Pix, m.Pix[(y*m.Width+r.x0)*m.Channels:(y*m.Width+r.x1)*m.Channels]...)
	}
	out.Pix = slices.Clip(out.Pix)
	return out
}
