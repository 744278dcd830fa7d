package imaging

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
)

// PrivateChunk is a chunk that only its writer knows, such as ComfyUI's "comf".
type PrivateChunk struct {
	Kind string // four letters
	Data []byte
}

// apngFrame is a frame to be written: the part that differs from the one before.
type apngFrame struct {
	index    int
	area     byteArea
	duration int // milliseconds
}

// byteArea is a rectangle without its right and lower edge.
type byteArea struct{ x0, y0, x1, y1 int }

// WriteAPNG writes count 8-bit frames of one size as an animated PNG that repeats forever, each shown for duration
// milliseconds, as Pillow does: frames that equal the one before lengthen it, of the others only the changed rectangle is
// written, and one frame makes a still image. frame returns the n-th frame with interleaved channels; it is called twice
// for each. after is written behind the pixels.
func WriteAPNG(w io.Writer, width, height, channels, count, duration, level int, after []PrivateChunk, frame func(n int) ([]byte, error)) error {
	if count < 1 {
		return errors.New("writing png: there are no frames")
	}
	b := bufio.NewWriterSize(w, 1<<16)
	chunks := chunkWriter{b}
	if err := chunks.begin(width, height, channels, PNGOptions{}); err != nil {
		return err
	}
	frames, err := apngFrames(width, height, channels, count, duration, frame)
	if err != nil {
		return err
	}
	if len(frames) > 1 {
		control := binary.BigEndian.AppendUint32(nil, uint32(len(frames))) //nolint:gosec // a batch
		if err := chunks.write("acTL", append(control, 0, 0, 0, 0)); err != nil {
			return err
		}
	}
	a := &apngWriter{chunks: chunks, width: width, channels: channels, level: level}
	for i, f := range frames {
		pix, err := frame(f.index)
		if err != nil {
			return err
		}
		if err := a.write(i, f, pix, len(frames) > 1); err != nil {
			return err
		}
	}
	for _, c := range after {
		if err := chunks.write(c.Kind, c.Data); err != nil {
			return err
		}
	}
	if err := chunks.write("IEND", nil); err != nil {
		return err
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("writing png: %w", err)
	}
	return nil
}

// apngFrames chooses what has to be written.
func apngFrames(width, height, channels, count, duration int, frame func(n int) ([]byte, error)) ([]apngFrame, error) {
	var frames []apngFrame
	var last []byte
	for n := range count {
		pix, err := frame(n)
		if err != nil {
			return nil, err
		}
		if len(pix) != width*height*channels {
			return nil, fmt.Errorf("writing png: %d bytes given for %dx%dx%d", len(pix), width, height, channels)
		}
		whole := byteArea{0, 0, width, height}
		if n > 0 {
			changed := bytesDiffer(last, pix, width, height, channels)
			if before := &frames[len(frames)-1]; changed.x0 >= changed.x1 {
				if _, _, ok := pngDelay(before.duration + duration); ok {
					before.duration += duration
					continue
				}
			} else {
				whole = changed
			}
		}
		frames = append(frames, apngFrame{n, whole, duration})
		last = pix
	}
	return frames, nil
}

// pngDelay writes milliseconds as a fraction of a second of two 16-bit numbers.
func pngDelay(ms int) (num, den uint16, ok bool) {
	r := big.NewRat(int64(ms), 1000)
	if r.Num().Cmp(big.NewInt(1<<16-1)) > 0 {
		return 0, 0, false
	}
	return uint16(r.Num().Int64()), uint16(r.Denom().Int64()), true //nolint:gosec // both are below 65536
}

// bytesDiffer returns the rectangle in which two images of one size differ.
func bytesDiffer(a, b []byte, width, height, channels int) byteArea {
	r := byteArea{x0: width, y0: height}
	stride := width * channels
	for y := range height {
		p, q := a[y*stride:][:stride], b[y*stride:][:stride]
		if bytes.Equal(p, q) {
			continue
		}
		first, last := 0, stride-1
		for p[first] == q[first] {
			first++
		}
		for p[last] == q[last] {
			last--
		}
		r.y0, r.y1 = min(r.y0, y), y+1
		r.x0, r.x1 = min(r.x0, first/channels), max(r.x1, last/channels+1)
	}
	return r
}

// apngWriter writes the frames of one file.
type apngWriter struct {
	chunks                 chunkWriter
	width, channels, level int
	sequence               uint32
}

func (a *apngWriter) write(i int, f apngFrame, pix []byte, animated bool) error {
	w, h := f.area.x1-f.area.x0, f.area.y1-f.area.y0
	if animated {
		num, den, ok := pngDelay(f.duration)
		if !ok {
			return fmt.Errorf("writing png: a frame cannot be shown for %d milliseconds", f.duration)
		}
		c := binary.BigEndian.AppendUint32(nil, a.sequence)
		for _, v := range []int{w, h, f.area.x0, f.area.y0} {
			c = binary.BigEndian.AppendUint32(c, uint32(v)) //nolint:gosec // within the image
		}
		c = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(c, num), den)
		if err := a.chunks.write("fcTL", append(c, 0, 0)); err != nil { // the frame stays, and replaces what is below it
			return err
		}
		a.sequence++
	}
	var out io.Writer = idatWriter{a.chunks}
	if i > 0 {
		out = &fdatWriter{a}
	}
	row := func(y int, _ []byte) ([]byte, error) {
		at := ((f.area.y0+y)*a.width + f.area.x0) * a.channels
		return pix[at:][:w*a.channels], nil
	}
	return writePixels(out, row, h, w*a.channels, a.channels, a.level)
}

// fdatWriter splits the data that is written to it into numbered fdAT chunks.
type fdatWriter struct{ a *apngWriter }

func (w *fdatWriter) Write(p []byte) (int, error) {
	data := append(binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(p)), w.a.sequence), p...)
	if err := w.a.chunks.write("fdAT", data); err != nil {
		return 0, err
	}
	w.a.sequence++
	return len(p), nil
}
