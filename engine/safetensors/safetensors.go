// Package safetensors reads and writes the safetensors file format.
//
// Open maps the file and checks its header once, completely: after a successful Open every tensor's bytes lie
// inside the file, have the size that shape and element type ask for, and overlap no other tensor. The rules
// are those of the reference library (safetensors 0.7): no holes, no bytes after the last tensor, a header of
// at most 100 MB; in addition, duplicate names are rejected.
//
// The package knows nothing of models, conversions or other file formats.
package safetensors

import (
	"encoding/binary"
	"fmt"

	"comfygo/engine/dtype"
	"comfygo/engine/safetensors/filemap"
)

// MaxHeader is the greatest length of a header in bytes, as in the reference library.
const MaxHeader = 100_000_000

// Tensor is one tensor of a file.
type Tensor struct {
	Name string
	// DType is dtype.Invalid for element types that the format knows and the engine does not, such as U16.
	DType dtype.DType
	// TypeName is the element type as the header spells it.
	TypeName string
	Shape    []int
	// Data is the little-endian row-major content, a part of the mapped file.
	Data []byte
	// Offset is the position of Data in the file.
	Offset int64
}

// File is an open safetensors file. It may be used from several goroutines until it is closed.
type File struct {
	m        *filemap.File
	tensors  []Tensor
	index    map[string]int
	metadata map[string]string
}

// Open maps the file at path and checks its header. Errors name the file, the tensor and the reason.
func Open(path string) (*File, error) {
	m, err := filemap.Open(path)
	if err != nil {
		return nil, err
	}
	f := &File{m: m}
	err = filemap.Guard(func() error {
		var err error
		f.tensors, f.metadata, err = Parse(m.Bytes())
		return err
	})
	if err != nil {
		_ = m.Close()
		return nil, fmt.Errorf("reading safetensors file %s: %w", path, err)
	}
	f.index = make(map[string]int, len(f.tensors))
	for i, t := range f.tensors {
		f.index[t.Name] = i
	}
	return f, nil
}

// Parse checks a whole safetensors file held in memory and returns its tensors in file order, their Data
// slices sharing file, and the metadata (nil without it).
func Parse(file []byte) ([]Tensor, map[string]string, error) {
	if len(file) < 8 {
		return nil, nil, fmt.Errorf("file of %d bytes is too short for a header", len(file))
	}
	n := binary.LittleEndian.Uint64(file)
	if n > MaxHeader {
		return nil, nil, fmt.Errorf("header length %d is over the limit of %d: not a safetensors file?", n, MaxHeader)
	}
	if n > uint64(len(file)-8) {
		return nil, nil, fmt.Errorf("header of %d bytes does not fit a file of %d bytes: truncated file?", n, len(file))
	}
	h, err := parseHeader(file[8 : 8+n])
	if err != nil {
		return nil, nil, fmt.Errorf("parsing the header: %w", err)
	}
	tensors, err := h.place(file, 8+int64(n))
	return tensors, h.metadata, err
}

// Path returns the path given to Open.
func (f *File) Path() string { return f.m.Path() }

// Map returns the mapping under the file; Tensor.Data slices are parts of its bytes.
func (f *File) Map() *filemap.File { return f.m }

// Tensors returns all tensors in file order. The slice must not be changed.
func (f *File) Tensors() []Tensor { return f.tensors }

// Metadata returns the text pairs of the header, or nil. It must not be changed.
func (f *File) Metadata() map[string]string { return f.metadata }

// Lookup returns the tensor with the given name.
func (f *File) Lookup(name string) (Tensor, bool) {
	i, ok := f.index[name]
	if !ok {
		return Tensor{}, false
	}
	return f.tensors[i], true
}

// Close unmaps the file; all Data slices become invalid.
func (f *File) Close() error { return f.m.Close() }
