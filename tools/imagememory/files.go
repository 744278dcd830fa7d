package main

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"io"
	"os"
	"sort"

	"github.com/gen2brain/avif"

	"comfygo/internal/imaging"
	"comfygo/internal/webp"
)

// pattern is an image that is computed: a gradient with some texture.
type pattern struct{ w, h int }

// ColorModel, Bounds and At implement image.Image.
func (p pattern) ColorModel() color.Model { return color.NRGBAModel }

// Bounds implements image.Image.
func (p pattern) Bounds() image.Rectangle { return image.Rect(0, 0, p.w, p.h) }

// At implements image.Image.
func (p pattern) At(x, y int) color.Color {
	c := p.rgba(x, y)
	return color.NRGBA{c[0], c[1], c[2], 255}
}

func (p pattern) rgba(x, y int) [4]byte {
	noise := byte((x*2654435761 ^ y*40503) >> 7 & 7)
	return [4]byte{byte(x>>3) + noise, byte(y>>3) ^ noise, byte((x + y) >> 4), byte(x>>4) | 1}
}

func (p pattern) row(y, channels int, to []byte) []byte {
	for x := range p.w {
		c := p.rgba(x, y)
		copy(to[x*channels:(x+1)*channels], c[:])
	}
	return to[:p.w*channels]
}

// writers make files of the kinds that are measured.
var writers = map[string]func(w io.Writer, p pattern) error{
	"png":          func(w io.Writer, p pattern) error { return writePNG(w, p, 3) },
	"png-alpha":    func(w io.Writer, p pattern) error { return writePNG(w, p, 4) },
	"jpeg":         func(w io.Writer, p pattern) error { return jpeg.Encode(w, p, &jpeg.Options{Quality: 80}) },
	"gif":          writeGIF,
	"webp":         func(w io.Writer, p pattern) error { return writeWebP(w, p, false) },
	"webp-alpha":   func(w io.Writer, p pattern) error { return writeWebP(w, p, true) },
	"webp-raw":     writeLossless,
	"bmp":          writeBMP,
	"tiff":         func(w io.Writer, p pattern) error { return writeTIFF(w, p, 1) },
	"tiff-lzw":     func(w io.Writer, p pattern) error { return writeTIFF(w, p, 5) },
	"tiff-deflate": func(w io.Writer, p pattern) error { return writeTIFF(w, p, 8) },
	"ppm":          writePPM,
	"tga":          writeTGA,
	"pcx":          writePCX,
	"avif":         writeAVIF,
}

func kinds() []string {
	out := make([]string, 0, len(writers))
	for k := range writers {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

// make1 makes a file of the given number of megapixels unless it exists.
func make1(file, kind string, megapixels int) error {
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	w := 4096
	if megapixels > 100 {
		w = 13312
	} else if megapixels > 20 {
		w = 8192
	}
	return make0(file, kind, w, megapixels*1_000_000/w)
}

func make0(file, kind string, w, h int) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // closed below
	b := bufio.NewWriterSize(f, 1<<20)
	if err := writers[kind](b, pattern{w, h}); err != nil {
		return err
	}
	if err := b.Flush(); err != nil {
		return err
	}
	return f.Close()
}

func writePNG(w io.Writer, p pattern, channels int) error {
	return imaging.WritePNGRows(w, p.w, p.h, channels, imaging.PNGOptions{Level: 1}, func(y int, to []byte) ([]byte, error) {
		return p.row(y, channels, to), nil
	})
}

func writeWebP(w io.Writer, p pattern, alpha bool) error {
	return webp.EncodeRows(w, webp.Rows{Width: p.w, Height: p.h, Read: func(y int, to []byte) error { p.row(y, 4, to); return nil }}, 80, alpha)
}

func writeGIF(w io.Writer, p pattern) error {
	img := image.NewPaletted(p.Bounds(), nil)
	for i := range 256 {
		img.Palette = append(img.Palette, color.NRGBA{uint8(i), uint8(255 - i), uint8(i / 2), 255})
	}
	for i := range img.Pix {
		img.Pix[i] = byte(i%p.w>>4 + i/p.w>>3)
	}
	return gif.EncodeAll(w, &gif.GIF{Image: []*image.Paletted{img}, Delay: []int{0}})
}

func writePPM(w io.Writer, p pattern) error {
	if _, err := fmt.Fprintf(w, "P6\n%d %d\n255\n", p.w, p.h); err != nil {
		return err
	}
	return p.rows(w, 3, false)
}

// rows writes all rows, from the bottom when they go upwards.
func (p pattern) rows(w io.Writer, channels int, upwards bool) error {
	buffer := make([]byte, p.w*channels)
	for y := range p.h {
		if upwards {
			y = p.h - 1 - y
		}
		if _, err := w.Write(p.row(y, channels, buffer)); err != nil {
			return err
		}
	}
	return nil
}

func writeBMP(w io.Writer, p pattern) error {
	head := []byte("BM")
	for _, v := range []uint32{uint32(54 + 4*p.w*p.h), 0, 54, 40, uint32(p.w), uint32(p.h), 1 | 32<<16, 0, 0, 0, 0, 0, 0} { //nolint:gosec // below 4 GiB
		head = binary.LittleEndian.AppendUint32(head, v)
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	return p.rows(w, 4, true)
}

func writeTGA(w io.Writer, p pattern) error {
	head := make([]byte, 18)
	head[2], head[16], head[17] = 2, 24, 0x20
	binary.LittleEndian.PutUint16(head[12:], uint16(p.w)) //nolint:gosec // below 65536
	binary.LittleEndian.PutUint16(head[14:], uint16(p.h)) //nolint:gosec // below 65536
	if _, err := w.Write(head); err != nil {
		return err
	}
	return p.rows(w, 3, false)
}

func writePCX(w io.Writer, p pattern) error {
	head := make([]byte, 128)
	head[0], head[1], head[3], head[65] = 10, 5, 8, 3
	stride := p.w + p.w%2
	for at, v := range map[int]int{8: p.w - 1, 10: p.h - 1, 66: stride} {
		binary.LittleEndian.PutUint16(head[at:], uint16(v)) //nolint:gosec // below 65536
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	return p.rows(w, 3, false) // not compressed; that planes are mixed up does not matter
}

// writeTIFF writes strips of 64 rows with a compression.
func writeTIFF(w io.Writer, p pattern, compression int) error {
	const rows = 64
	var body bytes.Buffer
	var offsets, counts []uint32
	buffer := make([]byte, 3*p.w)
	for y := 0; y < p.h; y += rows {
		from := body.Len()
		z, closer := compressor(&body, compression)
		for i := y; i < min(y+rows, p.h); i++ {
			if _, err := z.Write(p.row(i, 3, buffer)); err != nil {
				return err
			}
		}
		if err := closer(); err != nil {
			return err
		}
		offsets, counts = append(offsets, uint32(8+from)), append(counts, uint32(body.Len()-from)) //nolint:gosec // below 4 GiB
	}
	n := uint32(len(offsets)) //nolint:gosec // few
	lists := uint32(8 + body.Len())
	directory := lists + 8*n
	type entry struct{ tag, kind, count, value uint32 }
	entries := []entry{
		{256, 4, 1, uint32(p.w)}, {257, 4, 1, uint32(p.h)}, {258, 3, 1, 8}, {259, 3, 1, uint32(compression)}, {262, 3, 1, 2}, //nolint:gosec // small
		{273, 4, n, lists}, {277, 3, 1, 3}, {278, 4, 1, rows}, {279, 4, n, lists + 4*n},
	}
	if n == 1 {
		entries[5].value, entries[8].value = offsets[0], counts[0]
	}
	out := binary.LittleEndian.AppendUint32([]byte("II*\x00"), directory)
	if _, err := w.Write(append(out, body.Bytes()...)); err != nil {
		return err
	}
	tail := []byte{}
	for _, v := range append(offsets, counts...) {
		tail = binary.LittleEndian.AppendUint32(tail, v)
	}
	tail = binary.LittleEndian.AppendUint16(tail, uint16(len(entries))) //nolint:gosec // few
	for _, e := range entries {
		tail = binary.LittleEndian.AppendUint16(tail, uint16(e.tag))  //nolint:gosec // small
		tail = binary.LittleEndian.AppendUint16(tail, uint16(e.kind)) //nolint:gosec // small
		tail = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(tail, e.count), e.value)
	}
	_, err := w.Write(append(tail, 0, 0, 0, 0))
	return err
}

func compressor(w io.Writer, compression int) (io.Writer, func() error) {
	switch compression {
	case 5:
		z := &literals{w: w}
		return z, z.Close
	case 8:
		z := zlib.NewWriter(w)
		return z, z.Close
	}
	return w, func() error { return nil }
}

// literals writes TIFF's LZW with codes of nine bits alone: the table is cleared before it needs more.
type literals struct {
	w     io.Writer
	acc   uint32
	have  uint
	count int
	out   []byte
}

func (l *literals) code(v uint32) {
	const bits = 9
	l.acc = l.acc<<bits | v
	for l.have += bits; l.have >= 8; l.have -= 8 {
		l.out = append(l.out, byte(l.acc>>(l.have-8)))
	}
}

// Write implements io.Writer.
func (l *literals) Write(p []byte) (int, error) {
	const reset, often = 256, 200
	l.out = l.out[:0]
	for _, v := range p {
		if l.count%often == 0 {
			l.code(reset)
		}
		l.count++
		l.code(uint32(v))
	}
	_, err := l.w.Write(l.out)
	return len(p), err
}

// Close writes the end.
func (l *literals) Close() error {
	const end = 257
	l.out = l.out[:0]
	l.code(end)
	l.code(0)
	_, err := l.w.Write(l.out)
	return err
}

func writeAVIF(w io.Writer, p pattern) error {
	img := image.NewRGBA(p.Bounds())
	for y := range p.h {
		p.row(y, 4, img.Pix[y*img.Stride:])
	}
	for i := 3; i < len(img.Pix); i += 4 {
		img.Pix[i] = 255
	}
	return avif.Encode(w, img, avif.Options{Quality: 50, Speed: 10, ChromaSubsampling: image.YCbCrSubsampleRatio420})
}

// writeLossless writes VP8L with codes of one length for all symbols: 32 bits a pixel.
func writeLossless(w io.Writer, p pattern) error {
	b := &bitWriter{}
	b.write(0x2f, 8)
	b.write(uint64(p.w-1), 14)
	b.write(uint64(p.h-1), 14)
	b.write(1, 1) // alpha
	b.write(0, 3) // version
	b.write(0, 3) // no transform, no color cache, one group of codes
	for _, symbols := range []int{256 + 24, 256, 256, 256} {
		b.flat(symbols)
	}
	b.write(0b0001, 4) // distances: a simple code of the symbol 0
	for y := range p.h {
		for x := range p.w {
			c := p.rgba(x, y)
			for _, v := range []byte{c[1], c[0], c[2], c[3]} {
				b.write(uint64(reverse8(v)), 8)
			}
		}
	}
	body := b.finish()
	head := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(body)+len(body)%2+12)) //nolint:gosec // below 4 GiB
	head = append(head, "WEBPVP8L"...)
	head = binary.LittleEndian.AppendUint32(head, uint32(len(body))) //nolint:gosec // below 4 GiB
	_, err := w.Write(append(append(head, body...), make([]byte, len(body)%2)...))
	return err
}

func reverse8(v byte) (out byte) {
	for range 8 {
		out = out<<1 | v&1
		v >>= 1
	}
	return out
}

// bitWriter packs bits, the lowest first.
type bitWriter struct {
	out  []byte
	acc  uint64
	have uint
}

func (b *bitWriter) write(v uint64, n uint) {
	b.acc |= v << b.have
	for b.have += n; b.have >= 8; b.have -= 8 {
		b.out = append(b.out, byte(b.acc))
		b.acc >>= 8
	}
}

// flat writes a code in which the first 256 symbols have eight bits and the others none.
func (b *bitWriter) flat(symbols int) {
	b.write(0, 1)
	b.write(12-4, 4) // twelve lengths of lengths: 17, 18, 0 to 5, 16, 6, 7, 8
	for i := range 12 {
		switch i {
		case 2, 11: // lengths 0 and 8 have a bit each
			b.write(1, 3)
		default:
			b.write(0, 3)
		}
	}
	b.write(0, 1)
	for i := range symbols {
		if i < 256 {
			b.write(1, 1)
		} else {
			b.write(0, 1)
		}
	}
}

func (b *bitWriter) finish() []byte {
	if b.have > 0 {
		b.out = append(b.out, byte(b.acc))
	}
	return b.out
}
