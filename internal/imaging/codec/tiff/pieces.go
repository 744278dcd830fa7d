package tiff

import (
	"bytes"
	"compress/zlib"
	"context"
	"errors"
	"io"

	"golang.org/x/image/tiff/lzw"

	"comfygo/internal/imaging/codec"
)

var errMissing = errors.New("a strip or tile is missing")

// piece decodes a strip or tile into its place and returns how many rows there were.
func (f *file) piece(ctx context.Context, to *codec.Frame, plane, px, py int) (rows int, err error) {
	r, err := f.open((plane*f.down+py)*f.across + px)
	if err != nil {
		return 0, err
	}
	size := (f.pieceWidth*f.rowSamples()*f.bits + 7) / 8
	row, spare := make([]byte, size), make([]byte, 0)
	if f.predictor == 3 {
		spare = make([]byte, size)
	}
	for i := range min(f.pieceHeight, f.height-py*f.pieceHeight) {
		if ctx.Err() != nil {
			return rows, context.Cause(ctx)
		}
		if _, err := io.ReadFull(r, row); err != nil {
			return rows, err // upstream shows whole rows
		}
		row, spare = f.unpredict(row, spare)
		f.put(to, row, plane, px*f.pieceWidth, py*f.pieceHeight+i)
		rows++
	}
	return rows, nil
}

// open returns the uncompressed bytes of a piece.
func (f *file) open(i int) (io.Reader, error) {
	offsets, counts := uint16(tagStripOffsets), uint16(tagStripBytes)
	if f.tiled {
		offsets, counts = tagTileOffsets, tagTileBytes
	}
	at := f.value(offsets, i, -1)
	if at < 0 || at >= int64(len(f.data)) {
		return nil, errMissing
	}
	left := int64(len(f.data)) - at
	data := f.data[at : at+min(max(f.value(counts, i, left), 0), left)]
	switch f.compression {
	case compressionLZW:
		return lzw.NewReader(bytes.NewReader(data), lzw.MSB, 8), nil
	case compressionDeflate, compressionOldZip:
		return zlib.NewReader(bytes.NewReader(data))
	case compressionPacked:
		return &packBits{data: data}, nil
	}
	return bytes.NewReader(data), nil
}

// packBits reads Apple's run lengths.
type packBits struct {
	data []byte
	left int // bytes of the run that is being read
	run  bool
}

func (p *packBits) Read(to []byte) (int, error) {
	n := 0
	for n < len(to) {
		if p.left == 0 {
			if len(p.data) < 2 {
				break
			}
			c := int8(p.data[0])
			p.data = p.data[1:]
			switch {
			case c == -128:
				continue
			case c < 0:
				p.left, p.run = 1-int(c), true
			default:
				p.left, p.run = 1+int(c), false
			}
		}
		if len(p.data) == 0 {
			break
		}
		to[n] = p.data[0]
		n++
		p.left--
		if !p.run || p.left == 0 {
			p.data = p.data[1:]
		}
	}
	if n == 0 && len(to) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// unpredict undoes the predictor of a row; it returns the row and what is spare then.
func (f *file) unpredict(row, spare []byte) (restored, left []byte) {
	n := f.rowSamples()
	switch {
	case f.predictor == 2 && f.bits == 8:
		for i := n; i < len(row); i++ {
			row[i] += row[i-n]
		}
	case f.predictor == 2 && f.bits == 16:
		for i := 2 * n; i+1 < len(row); i += 2 {
			f.order.PutUint16(row[i:], f.order.Uint16(row[i:])+f.order.Uint16(row[i-2*n:]))
		}
	case f.predictor == 2 && f.bits == 32:
		for i := 4 * n; i+3 < len(row); i += 4 {
			f.order.PutUint32(row[i:], f.order.Uint32(row[i:])+f.order.Uint32(row[i-4*n:]))
		}
	case f.predictor == 3 && f.float: // the bytes of all values, the high ones first
		for i := n; i < len(row); i++ {
			row[i] += row[i-n]
		}
		count := len(row) / 4
		for i := range count {
			v := uint32(row[i])<<24 | uint32(row[count+i])<<16 | uint32(row[2*count+i])<<8 | uint32(row[3*count+i])
			f.order.PutUint32(spare[4*i:], v)
		}
		return spare, row
	}
	return row, spare
}
