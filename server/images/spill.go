package images

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// spillFrom is the number of bytes up to which an answer stays in memory.
const spillFrom = 4 << 20

// Spill holds an answer of any size: in memory at first, then in a temporary file. What is made is written to it before it
// is sent, so that a slow client does not hold on to an image's memory. Close it.
type Spill struct {
	buffer bytes.Buffer
	file   *os.File
	size   int64
}

// Write implements io.Writer.
func (s *Spill) Write(p []byte) (int, error) {
	s.size += int64(len(p))
	if s.file == nil && s.buffer.Len()+len(p) <= spillFrom {
		return s.buffer.Write(p)
	}
	if s.file == nil {
		f, err := os.CreateTemp("", "comfygo-view-*")
		if err != nil {
			return 0, fmt.Errorf("making a temporary file: %w", err)
		}
		s.file = f
		if _, err := s.buffer.WriteTo(f); err != nil {
			return 0, fmt.Errorf("writing a temporary file: %w", err)
		}
		s.buffer = bytes.Buffer{}
	}
	return s.file.Write(p)
}

// Small returns the answer if it is in memory.
func (s *Spill) Small() (data []byte, ok bool) { return s.buffer.Bytes(), s.file == nil }

// Size is the number of bytes.
func (s *Spill) Size() int64 { return s.size }

// WriteTo copies the answer from its beginning.
func (s *Spill) WriteTo(w io.Writer) (int64, error) {
	if s.file == nil {
		n, err := w.Write(s.buffer.Bytes())
		return int64(n), err
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	return io.Copy(w, s.file)
}

// Close removes the temporary file.
func (s *Spill) Close() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	if bad := os.Remove(s.file.Name()); err == nil {
		err = bad
	}
	return err
}
