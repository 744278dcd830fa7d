package imaging

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

var pngSignature = []byte("\x89PNG\r\n\x1a\n")

// errNoPNG reports that data does not begin like a PNG file.
var errNoPNG = errors.New("reading png: not a png file")

// chunkWriter writes PNG chunks.
type chunkWriter struct{ w io.Writer }

func (c chunkWriter) write(kind string, data []byte) error {
	head := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	head = append(head, kind...)
	sum := crc32.Update(crc32.ChecksumIEEE([]byte(kind)), crc32.IEEETable, data)
	for _, part := range [][]byte{head, data, binary.BigEndian.AppendUint32(nil, sum)} {
		if _, err := c.w.Write(part); err != nil {
			return fmt.Errorf("writing png chunk %s: %w", kind, err)
		}
	}
	return nil
}

// maxChunk bounds the chunks that are read into memory; text as long as upstream's reader takes it fits.
const maxChunk = 64 << 20

// eachChunk calls visit for the chunks of a PNG up to its end. want selects the chunks whose data is read; others
// come with nil. Visiting stops without an error when visit returns false, and at IEND. Check sums are verified for
// chunks that are read.
func eachChunk(r io.Reader, want func(kind string) bool, visit func(kind string, data []byte) (bool, error)) error {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil || string(head[:]) != string(pngSignature) {
		return errNoPNG
	}
	for {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return fmt.Errorf("reading png: %w", noEOF(err))
		}
		size, kind := binary.BigEndian.Uint32(head[:4]), string(head[4:])
		if size > 1<<31-1 {
			return fmt.Errorf("reading png: chunk %q of %d bytes", kind, size)
		}
		data, err := chunkData(r, head[4:], int64(size), want(kind))
		if err != nil {
			return fmt.Errorf("reading png chunk %q: %w", kind, err)
		}
		more, err := visit(kind, data)
		if err != nil || !more || kind == "IEND" {
			return err
		}
	}
}

// chunkData reads or skips the data and the check sum of a chunk.
func chunkData(r io.Reader, kind []byte, size int64, keep bool) ([]byte, error) {
	if !keep {
		if _, err := io.CopyN(io.Discard, r, size+4); err != nil {
			return nil, noEOF(err)
		}
		return nil, nil
	}
	if size > maxChunk {
		return nil, fmt.Errorf("%d bytes are more than %d", size, maxChunk)
	}
	data, err := io.ReadAll(io.LimitReader(r, size+4))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) != size+4 {
		return nil, io.ErrUnexpectedEOF
	}
	sum := binary.BigEndian.Uint32(data[size:])
	if sum != crc32.Update(crc32.ChecksumIEEE(kind), crc32.IEEETable, data[:size]) {
		return nil, errors.New("the check sum is wrong")
	}
	return data[:size], nil
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
