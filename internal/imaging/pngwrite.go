package imaging

import (
	"bufio"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
)

// PNGOptions configure how a PNG file is written.
type PNGOptions struct {
	// Level is zlib's level, 0 (stored) to 9.
	Level int
	// Text is written to text chunks before the pixels, in this order.
	Text []Text
	// Clear is the one color of an RGB image that is transparent.
	Clear *[3]uint8
	// Deep means that samples have 16 bits, the higher byte first.
	Deep bool
}

// sample returns the bytes of a sample.
func (o PNGOptions) sample() int {
	if o.Deep {
		return 2
	}
	return 1
}

// colourTypes are PNG's types by the number of channels: L, LA, RGB, RGBA.
var colourTypes = [...]byte{1: 0, 2: 4, 3: 2, 4: 6}

// WritePNG writes an image with interleaved channels, 1 (gray), 2 (gray and alpha), 3 (RGB) or 4 (RGBA), as a PNG file of
// just that kind. pix has w*h*channels samples.
func WritePNG(w io.Writer, pix []byte, width, height, channels int, o PNGOptions) error {
	stride := width * channels * o.sample()
	if width > 0 && height > 0 && len(pix) != height*stride {
		return fmt.Errorf("writing png: %d bytes given for %dx%dx%d", len(pix), width, height, channels)
	}
	return WritePNGRows(w, width, height, channels, o, func(y int, _ []byte) ([]byte, error) { return pix[y*stride:][:stride], nil })
}

// WritePNGRows writes an image like WritePNG, row by row from the top. read returns row y; it may use the buffer that it
// is given, which holds one row and is another one in the next call. An error of read ends writing.
func WritePNGRows(w io.Writer, width, height, channels int, o PNGOptions, read func(y int, buffer []byte) ([]byte, error)) error {
	b := bufio.NewWriterSize(w, 1<<16)
	chunks := chunkWriter{b}
	if err := chunks.begin(width, height, channels, o); err != nil {
		return err
	}
	for _, t := range o.Text {
		kind, data, err := t.chunk()
		if err != nil {
			return err
		}
		if err := chunks.write(kind, data); err != nil {
			return err
		}
	}
	if o.Clear != nil {
		if err := chunks.write("tRNS", []byte{0, o.Clear[0], 0, o.Clear[1], 0, o.Clear[2]}); err != nil {
			return err
		}
	}
	step := channels * o.sample()
	if err := writePixels(idatWriter{chunks}, read, height, width*step, step, o.Level); err != nil {
		return err
	}
	if err := chunks.write("IEND", nil); err != nil {
		return err
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("writing png: %w", err)
	}
	return nil
}

// begin writes the signature and the chunk IHDR.
func (c chunkWriter) begin(width, height, channels int, o PNGOptions) error {
	switch {
	case channels < 1 || channels > 4:
		return fmt.Errorf("writing png: an image has 1 to 4 channels, not %d", channels)
	case width < 1 || height < 1 || width > 1<<30 || height > 1<<30:
		return fmt.Errorf("writing png: the image is %dx%d", width, height)
	}
	if _, err := c.w.Write(pngSignature); err != nil {
		return fmt.Errorf("writing png: %w", err)
	}
	head := binary.BigEndian.AppendUint32(nil, uint32(width))
	head = binary.BigEndian.AppendUint32(head, uint32(height))
	return c.write("IHDR", append(head, byte(8*o.sample()), colourTypes[channels], 0, 0, 0))
}

// idatWriter splits the data that is written to it into IDAT chunks.
type idatWriter struct{ chunkWriter }

func (w idatWriter) Write(p []byte) (int, error) {
	if err := w.write("IDAT", p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// compressors are done with an image and wait for the next, by level: one has up to a megabyte, which costs more to make than a small
// image does to pack.
var compressors [zlib.BestCompression + 1]sync.Pool

// compressor returns one that writes to w; give takes it back.
func compressor(w io.Writer, level int) (z *zlib.Writer, give func(), err error) {
	if level < zlib.NoCompression || level > zlib.BestCompression {
		return nil, nil, fmt.Errorf("there is no compression level %d", level)
	}
	z, ok := compressors[level].Get().(*zlib.Writer)
	if ok {
		z.Reset(w)
	} else if z, err = zlib.NewWriterLevel(w, level); err != nil {
		return nil, nil, err
	}
	return z, func() {
		z.Reset(io.Discard) // it must not hold on to w
		compressors[level].Put(z)
	}, nil
}

// writePixels writes filtered and compressed rows to chunks.
func writePixels(chunks io.Writer, read func(y int, buffer []byte) ([]byte, error), height, stride, step, level int) error {
	buf := bufio.NewWriterSize(chunks, 1<<16)
	z, give, err := compressor(buf, level)
	if err != nil {
		return fmt.Errorf("writing png: %w", err)
	}
	defer give()
	f := newFilters(stride, step)
	above := make([]byte, stride)
	buffers := [2][]byte{make([]byte, stride), make([]byte, stride)}
	for y := range height {
		line, err := read(y, buffers[y%2])
		if err != nil {
			return err
		}
		if _, err := z.Write(f.best(line, above)); err != nil {
			return fmt.Errorf("writing png: %w", err)
		}
		above = line
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("writing png: %w", err)
	}
	if err := buf.Flush(); err != nil {
		return fmt.Errorf("writing png: %w", err)
	}
	return nil
}
