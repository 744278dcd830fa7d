// Package tiff decodes the first image of a TIFF file: gray, RGB, palette, CMYK and floating point samples in strips or
// tiles, uncompressed or by LZW, Deflate and PackBits. Damaged strips leave their part of the image empty.
//
// x/image/tiff knows neither CMYK nor floats, needs all strips whole, and reads strips of any number without a bound.
package tiff

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image/color"

	"comfygo/internal/imaging/codec"
)

func init() {
	codec.Register(codec.Format{
		Name: "tiff", Extensions: []string{"tif", "tiff"},
		Sniff: func(data []byte) bool {
			return bytes.HasPrefix(data, []byte("II*\x00")) || bytes.HasPrefix(data, []byte("MM\x00*"))
		},
		Probe:  probe,
		Decode: decode,
	})
}

// Tags that are read.
const (
	tagWidth           = 256
	tagHeight          = 257
	tagBits            = 258
	tagCompression     = 259
	tagPhotometric     = 262
	tagFillOrder       = 266
	tagStripOffsets    = 273
	tagSamples         = 277
	tagRowsPerStrip    = 278
	tagStripBytes      = 279
	tagPlanar          = 284
	tagPredictor       = 317
	tagColorMap        = 320
	tagTileWidth       = 322
	tagTileHeight      = 323
	tagTileOffsets     = 324
	tagTileBytes       = 325
	tagExtraSamples    = 338
	tagSampleFormat    = 339
	compressionNone    = 1
	compressionLZW     = 5
	compressionDeflate = 8
	compressionOldZip  = 32946
	compressionPacked  = 32773
)

// Photometric interpretations.
const (
	whiteIsZero = 0
	blackIsZero = 1
	rgb         = 2
	palette     = 3
	cmyk        = 5
)

// directory is the image file directory: where the values of each tag lie.
type directory struct {
	data    []byte
	order   binary.ByteOrder
	entries map[uint16]entry
}

type entry struct {
	kind  uint16
	count uint32
	at    int64 // of the values
}

// sizes are the bytes of each type of value: bytes, texts, shorts and longs.
var sizes = map[uint16]int64{1: 1, 2: 1, 3: 2, 4: 4}

func readDirectory(data []byte) (*directory, error) {
	d := &directory{data: data, order: binary.LittleEndian, entries: map[uint16]entry{}}
	if len(data) < 8 {
		return nil, errors.New("its header ends early")
	}
	if data[0] == 'M' {
		d.order = binary.BigEndian
	}
	at := int64(d.order.Uint32(data[4:]))
	if at+2 > int64(len(data)) {
		return nil, errors.New("its directory is missing")
	}
	n := int64(d.order.Uint16(data[at:]))
	for i := range n {
		e := at + 2 + 12*i
		if e+12 > int64(len(data)) {
			break
		}
		b := data[e:]
		v := entry{kind: d.order.Uint16(b[2:]), count: d.order.Uint32(b[4:]), at: e + 8}
		size, ok := sizes[v.kind]
		if !ok {
			continue
		}
		if int64(v.count)*size > 4 {
			v.at = int64(d.order.Uint32(b[8:]))
		}
		d.entries[d.order.Uint16(b)] = v
	}
	return d, nil
}

// len is the number of values of a tag that the file has room for.
func (d *directory) len(tag uint16) int {
	e, ok := d.entries[tag]
	if !ok || e.at > int64(len(d.data)) {
		return 0
	}
	return int(min(int64(e.count), (int64(len(d.data))-e.at)/sizes[e.kind]))
}

// value returns number i of a tag, or otherwise if it is missing.
func (d *directory) value(tag uint16, i int, otherwise int64) int64 {
	if i >= d.len(tag) {
		return otherwise
	}
	e := d.entries[tag]
	b := d.data[e.at+int64(i)*sizes[e.kind]:]
	switch sizes[e.kind] {
	case 1:
		return int64(b[0])
	case 2:
		return int64(d.order.Uint16(b))
	}
	return int64(d.order.Uint32(b))
}

// file holds the needed fields of an image.
type file struct {
	*directory
	width, height           int
	bits, samples           int
	photometric, predictor  int64
	compression             int64
	float, planar, tiled    bool
	alpha                   bool
	pieceWidth, pieceHeight int
	across, down            int
	layout                  codec.Layout
}

func read(data []byte) (*file, error) {
	d, err := readDirectory(data)
	if err != nil {
		return nil, err
	}
	f := &file{
		directory: d, width: int(d.value(tagWidth, 0, 0)), height: int(d.value(tagHeight, 0, 0)),
		bits: int(d.value(tagBits, 0, 1)), samples: int(d.value(tagSamples, 0, 1)),
		photometric: d.value(tagPhotometric, 0, blackIsZero), predictor: d.value(tagPredictor, 0, 1),
		compression: d.value(tagCompression, 0, compressionNone), float: d.value(tagSampleFormat, 0, 1) == 3,
	}
	if f.width < 1 || f.height < 1 || f.width > 1<<30 || f.height > 1<<30 {
		return nil, fmt.Errorf("its size is %dx%d", f.width, f.height)
	}
	f.planar = d.value(tagPlanar, 0, 1) == 2 && f.samples > 1
	f.alpha = d.len(tagExtraSamples) > 0 && d.value(tagExtraSamples, 0, 0) != 0
	switch f.compression {
	case compressionNone, compressionLZW, compressionDeflate, compressionOldZip, compressionPacked:
	default:
		return nil, fmt.Errorf("compression %d is not supported", f.compression)
	}
	if d.value(tagFillOrder, 0, 1) != 1 && f.bits < 8 {
		return nil, errors.New("reversed bits are not supported")
	}
	for i := range d.len(tagBits) {
		if int(d.value(tagBits, i, 0)) != f.bits && i < f.samples {
			return nil, errors.New("samples of several sizes are not supported")
		}
	}
	if f.layout, err = f.chooseLayout(); err != nil {
		return nil, err
	}
	return f, f.pieces()
}

// chooseLayout finds the layout of the decoded frame.
func (f *file) chooseLayout() (codec.Layout, error) {
	type kind struct {
		photometric int64
		bits        int
		alpha       bool
	}
	p := f.photometric
	if p == whiteIsZero {
		p = blackIsZero
	}
	colors := map[int64]int{blackIsZero: 1, rgb: 3, palette: 1, cmyk: 4}[p]
	if colors == 0 || f.samples < colors || f.samples > 16 {
		return 0, fmt.Errorf("photometric interpretation %d with %d samples is not supported", f.photometric, f.samples)
	}
	alpha := f.alpha && f.samples > colors
	if f.float {
		switch {
		case f.bits != 32:
		case p == blackIsZero:
			return codec.GrayFloat, nil
		case p == rgb:
			return codec.RGBFloat, nil
		}
		return 0, fmt.Errorf("floats of %d bits of photometric interpretation %d are not supported", f.bits, f.photometric)
	}
	l, ok := map[kind]codec.Layout{
		{blackIsZero, 1, false}: codec.Bilevel, {blackIsZero, 2, false}: codec.Gray8, {blackIsZero, 4, false}: codec.Gray8,
		{blackIsZero, 8, false}: codec.Gray8, {blackIsZero, 8, true}: codec.GrayAlpha8,
		{blackIsZero, 16, false}: codec.Gray16, {blackIsZero, 16, true}: codec.GrayAlpha16,
		{rgb, 8, false}: codec.RGB8, {rgb, 8, true}: codec.RGBA8, {rgb, 16, false}: codec.RGB16, {rgb, 16, true}: codec.RGBA16,
		{palette, 1, false}: codec.Palette8, {palette, 2, false}: codec.Palette8, {palette, 4, false}: codec.Palette8, {palette, 8, false}: codec.Palette8,
		{cmyk, 8, false}: codec.Packed8, {cmyk, 16, false}: codec.RGB16,
	}[kind{p, f.bits, alpha}]
	if !ok {
		return 0, fmt.Errorf("%d bits a sample of photometric interpretation %d are not supported", f.bits, f.photometric)
	}
	return l, nil
}

// maxTile bounds how much wider a tile may be than the image, since rows of tiles are decoded whole.
const maxTile = 1 << 13

// pieces finds how the image is cut into strips or tiles.
func (f *file) pieces() error {
	f.pieceWidth, f.pieceHeight = f.width, int(min(max(f.value(tagRowsPerStrip, 0, int64(f.height)), 1), int64(f.height)))
	if f.len(tagTileOffsets) > 0 {
		f.tiled = true
		f.pieceWidth, f.pieceHeight = int(f.value(tagTileWidth, 0, 0)), int(f.value(tagTileHeight, 0, 0))
		if f.pieceWidth < 1 || f.pieceHeight < 1 || f.pieceWidth > f.width+maxTile || f.pieceHeight > 1<<30 {
			return fmt.Errorf("its tiles are %dx%d", f.pieceWidth, f.pieceHeight)
		}
	} else if f.len(tagStripOffsets) == 0 {
		return errors.New("there are no strips in it")
	}
	f.across, f.down = (f.width-1)/f.pieceWidth+1, (f.height-1)/f.pieceHeight+1
	const rowLimit = 1 << 30
	if int64(f.pieceWidth)*int64(f.rowSamples())*int64(f.bits) > rowLimit {
		return fmt.Errorf("its rows of %d pixels are too long", f.pieceWidth)
	}
	return nil
}

// rowSamples is the number of samples a pixel in one piece.
func (f *file) rowSamples() int {
	if f.planar {
		return 1
	}
	return f.samples
}

// planes is the number of times that the image is stored.
func (f *file) planes() int {
	if f.planar {
		return f.samples
	}
	return 1
}

func probe(data []byte) (codec.Info, error) {
	f, err := read(data)
	if err != nil {
		return codec.Info{}, err
	}
	return codec.Info{
		Width: f.width, Height: f.height, Frames: 1, Pieces: f.across * f.down * f.planes(), Layout: f.layout,
		Orientation: codec.Orientation(data), Working: int64(f.width) * int64(f.height) * int64(f.layout.Bytes()),
	}, nil
}

func decode(ctx context.Context, data []byte, _ codec.Info, emit func(*codec.Frame) error) error {
	f, err := read(data)
	if err != nil {
		return err
	}
	out := &codec.Frame{Width: f.width, Height: f.height, Layout: f.layout}
	if n := f.width * f.height * f.layout.Channels(); f.float {
		out.Float = make([]float32, n)
	} else {
		out = codec.NewFrame(f.width, f.height, f.layout)
	}
	if f.layout == codec.Palette8 {
		out.Palette = f.colors()
	}
	if f.photometric == cmyk {
		out.Mode = "CMYK"
	}
	rows := 0
	for p := range f.planes() {
		for y := range f.down {
			for x := range f.across {
				n, err := f.piece(ctx, out, p, x, y)
				if cause := context.Cause(ctx); cause != nil {
					return cause
				}
				if rows += n; err != nil && n == 0 && rows == 0 && x == f.across-1 && y == f.down-1 && p == f.planes()-1 {
					return err // not one row in any piece
				}
			}
		}
	}
	return emit(out)
}

// colors returns the palette; only the upper bytes count.
func (f *file) colors() []color.NRGBA {
	n := f.len(tagColorMap) / 3
	out := make([]color.NRGBA, min(n, 256))
	part := func(i int) uint8 { return uint8(f.value(tagColorMap, i, 0) >> 8) }
	for i := range out {
		out[i] = color.NRGBA{R: part(i), G: part(n + i), B: part(2*n + i), A: 255}
	}
	return out
}
