package geometry

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// File is the value of FILE_3D links of all formats: a 3D file on disk or in memory.
type File struct {
	path   string
	data   []byte
	format string
}

// Disk returns the file at a path, which the caller has resolved and allowed. The format is the path's extension.
func Disk(path string) *File {
	return &File{path: path, format: strings.ToLower(strings.TrimPrefix(filepath.Ext(path), "."))}
}

// Memory returns a file with the given bytes, which are not copied, and a format such as "glb".
func Memory(data []byte, format string) *File { return &File{data: data, format: cleanFormat(format)} }

func cleanFormat(format string) string { return strings.ToLower(strings.TrimLeft(format, ".")) }

// Format returns the lower-case name of the format without a dot, such as "glb" or "ply"; empty if it is unknown.
func (f *File) Format() string { return f.format }

// Path returns the path of the file; empty for one in memory.
func (f *File) Path() string { return f.path }

// MemoryBytes is the size in host memory.
func (f *File) MemoryBytes() int64 {
	if f == nil {
		return 0
	}
	return int64(len(f.data))
}

// Size is the number of bytes.
func (f *File) Size() (int64, error) {
	if f.path == "" {
		return int64(len(f.data)), nil
	}
	info, err := os.Stat(f.path)
	if err != nil {
		return 0, fmt.Errorf("reading 3D file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return 0, fmt.Errorf("reading 3D file: %s is not a regular file", filepath.Base(f.path))
	}
	return info.Size(), nil
}

// Open opens the file for reading.
func (f *File) Open() (io.ReadCloser, error) {
	if f.path == "" {
		return io.NopCloser(bytes.NewReader(f.data)), nil
	}
	if _, err := f.Size(); err != nil {
		return nil, err
	}
	file, err := os.Open(f.path)
	if err != nil {
		return nil, fmt.Errorf("reading 3D file: %w", err)
	}
	return file, nil
}

// Bytes returns the content, which must not be written to. A file of more than limit bytes is an error.
func (f *File) Bytes(limit int64) ([]byte, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, fmt.Errorf("reading 3D file: %d bytes are more than the limit of %d", size, limit)
	}
	if f.path == "" {
		return f.data, nil
	}
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading 3D file: %w", err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("reading 3D file: more than the limit of %d bytes", limit)
	}
	return data, nil
}
