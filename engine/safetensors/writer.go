package safetensors

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"comfygo/engine/dtype"
)

// Spec announces one tensor of a file to be written.
type Spec struct {
	Name  string
	DType dtype.DType
	Shape []int
}

// EncodeHeader returns the head of a file, its length prefix included: metadata first (keys sorted; nil = none),
// then the tensors in the given order, padded with spaces to a multiple of 8 bytes. total is the size of the data
// that must follow.
func EncodeHeader(metadata map[string]string, specs []Spec) (head []byte, total int64, err error) {
	var b bytes.Buffer
	b.Write(make([]byte, 8))
	b.WriteByte('{')
	if len(metadata) > 0 {
		b.WriteString(`"__metadata__":`)
		if err := encodeJSON(&b, metadata); err != nil {
			return nil, 0, err
		}
	}
	seen := make(map[string]struct{}, len(specs))
	for _, s := range specs {
		if _, dup := seen[s.Name]; dup || s.Name == "__metadata__" {
			return nil, 0, fmt.Errorf("tensor %q: the name is taken", s.Name)
		}
		seen[s.Name] = struct{}{}
		n, err := s.bytes()
		if err != nil || total+n < total {
			return nil, 0, fmt.Errorf("tensor %q: bad shape %v of %s", s.Name, s.Shape, s.DType)
		}
		if b.Len() > 9 {
			b.WriteByte(',')
		}
		if err := encodeJSON(&b, s.Name); err != nil {
			return nil, 0, err
		}
		fmt.Fprintf(&b, `:{"dtype":"%s","shape":[`, s.DType)
		for i, d := range s.Shape {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(strconv.Itoa(d))
		}
		fmt.Fprintf(&b, `],"data_offsets":[%d,%d]}`, total, total+n)
		total += n
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	if b.Len()-8 > MaxHeader {
		return nil, 0, fmt.Errorf("header of %d bytes is over the limit of %d", b.Len()-8, MaxHeader)
	}
	head = b.Bytes()
	binary.LittleEndian.PutUint64(head, uint64(len(head)-8))
	return head, total, nil
}

// encodeJSON writes v compactly and in ASCII, without the HTML escapes and the newline of json.Encoder's defaults.
func encodeJSON(b *bytes.Buffer, v any) error {
	var t bytes.Buffer
	e := json.NewEncoder(&t)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("encoding the header: %w", err)
	}
	for _, r := range strings.TrimSuffix(t.String(), "\n") {
		switch {
		case r < 0x7f:
			b.WriteRune(r)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(b, "\\u%04x\\u%04x", hi, lo)
		default:
			fmt.Fprintf(b, "\\u%04x", r)
		}
	}
	return nil
}

// bytes returns the size of the tensor's data.
func (s Spec) bytes() (int64, error) {
	n := uint64(s.DType.Size())
	if n == 0 {
		return 0, errors.New("no size")
	}
	for _, d := range s.Shape {
		hi, lo := bits.Mul64(n, uint64(d))
		if d < 0 || hi != 0 || int64(lo) < 0 {
			return 0, errors.New("overflow")
		}
		n = lo
	}
	return int64(n), nil
}

// Writer streams a file to disk. The file appears under its name only when Commit succeeds.
type Writer struct {
	path string
	tmp  *os.File
	buf  *bufio.Writer
	left int64
	done bool
}

// Create starts a file at path, in a temporary file beside it.
func Create(path string, metadata map[string]string, specs []Spec) (*Writer, error) {
	head, total, err := EncodeHeader(metadata, specs)
	if err != nil {
		return nil, fmt.Errorf("writing %s: %w", path, err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return nil, fmt.Errorf("writing %s: %w", path, err)
	}
	w := &Writer{path: path, tmp: tmp, buf: bufio.NewWriterSize(tmp, 1<<18), left: total}
	if _, err := w.buf.Write(head); err != nil {
		w.Abort()
		return nil, fmt.Errorf("writing %s: %w", path, err)
	}
	return w, nil
}

// Write appends tensor data, in the order of the specs. Writing more than they announce is an error.
func (w *Writer) Write(p []byte) (int, error) {
	if int64(len(p)) > w.left {
		return 0, fmt.Errorf("writing %s: %d bytes more than the header announces", w.path, int64(len(p))-w.left)
	}
	n, err := w.buf.Write(p)
	w.left -= int64(n)
	if err != nil {
		return n, fmt.Errorf("writing %s: %w", w.path, err)
	}
	return n, nil
}

// Skip leaves the next n bytes of tensor data unwritten: they read as zeros, and most file systems store nothing for
// them. Skipping more than the specs announce is an error.
func (w *Writer) Skip(n int64) error {
	if n < 0 || n > w.left {
		return fmt.Errorf("writing %s: %d bytes more than the header announces", w.path, n-w.left)
	}
	w.left -= n
	err := w.buf.Flush()
	if err == nil {
		var at int64
		at, err = w.tmp.Seek(n, io.SeekCurrent)
		if err == nil && w.left == 0 { // nothing follows that would extend the file
			err = w.tmp.Truncate(at)
		}
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", w.path, err)
	}
	return nil
}

// Commit flushes the file to the disk and puts it in place. It fails, and removes the file, when data is missing.
func (w *Writer) Commit() (err error) {
	if w.done {
		return fmt.Errorf("writing %s: already finished", w.path)
	}
	defer func() {
		if err != nil {
			w.Abort()
			err = fmt.Errorf("writing %s: %w", w.path, err)
		}
	}()
	if w.left != 0 {
		return fmt.Errorf("%d bytes of tensor data are missing", w.left)
	}
	if err := w.buf.Flush(); err != nil {
		return err
	}
	if err := w.tmp.Chmod(0o644); err != nil && runtime.GOOS != "windows" {
		return err
	}
	if err := w.tmp.Sync(); err != nil {
		return err
	}
	if err := w.tmp.Close(); err != nil {
		return err
	}
	if err := os.Rename(w.tmp.Name(), w.path); err != nil {
		return err
	}
	w.done = true
	return syncDir(filepath.Dir(w.path))
}

// Abort removes the unfinished file. After Commit it does nothing.
func (w *Writer) Abort() {
	if w.done {
		return
	}
	w.done = true
	_ = w.tmp.Close()
	_ = os.Remove(w.tmp.Name())
}

// syncDir makes the rename durable where the system allows to sync a directory.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Save writes tensors, of which Name, DType, Shape and Data are used, to path in one step.
func Save(path string, metadata map[string]string, tensors []Tensor) error {
	specs, err := specsOf(tensors)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	w, err := Create(path, metadata, specs)
	if err != nil {
		return err
	}
	for _, t := range tensors {
		if _, err := w.Write(t.Data); err != nil {
			w.Abort()
			return err
		}
	}
	return w.Commit()
}

// Encode writes a whole file to out.
func Encode(out io.Writer, metadata map[string]string, tensors []Tensor) error {
	specs, err := specsOf(tensors)
	if err != nil {
		return fmt.Errorf("encoding safetensors: %w", err)
	}
	head, _, err := EncodeHeader(metadata, specs)
	if err != nil {
		return fmt.Errorf("encoding safetensors: %w", err)
	}
	parts := slices.Concat([][]byte{head}, dataOf(tensors))
	for _, p := range parts {
		if _, err := out.Write(p); err != nil {
			return fmt.Errorf("encoding safetensors: %w", err)
		}
	}
	return nil
}

func dataOf(tensors []Tensor) [][]byte {
	out := make([][]byte, len(tensors))
	for i, t := range tensors {
		out[i] = t.Data
	}
	return out
}

// specsOf takes the specs from tensors and checks that each holds the bytes that it should.
func specsOf(tensors []Tensor) ([]Spec, error) {
	specs := make([]Spec, len(tensors))
	for i, t := range tensors {
		specs[i] = Spec{Name: t.Name, DType: t.DType, Shape: t.Shape}
		n, err := specs[i].bytes()
		if err != nil || n != int64(len(t.Data)) {
			return nil, fmt.Errorf("tensor %q: %d bytes of data do not fit shape %v of %s", t.Name, len(t.Data), t.Shape, t.DType)
		}
	}
	return specs, nil
}
