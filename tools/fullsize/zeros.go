package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"

	"comfygo/engine/dtype"
	"comfygo/engine/safetensors"
)

// write writes the file below dir, a hole for the data, and returns its path and size.
func (z *zeros) write(dir string) (path string, size int64, err error) {
	ending, header := ".safetensors", z.safetensors
	if z.matrices == dtype.Invalid {
		ending, header = ".gguf", z.gguf
	}
	path = filepath.Join(dir, z.folder, z.name+ending)
	head, data, err := header()
	if err != nil {
		return "", 0, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // a folder of models
		return "", 0, fmt.Errorf("making the folder: %w", err)
	}
	size = int64(len(head)) + data
	if err := os.WriteFile(path, head, 0o600); err != nil {
		return "", 0, fmt.Errorf("writing the header: %w", err)
	}
	return path, size, os.Truncate(path, size)
}

func (s shape) elements() int64 {
	n := int64(1)
	for _, d := range s.dims {
		n *= int64(d)
	}
	return n
}

func (z *zeros) safetensors() (head []byte, data int64, err error) {
	var specs []safetensors.Spec
	for _, t := range z.tensors {
		d := z.others
		if t.narrow {
			d = z.matrices
		}
		specs = append(specs, safetensors.Spec{Name: t.name, DType: d, Shape: t.dims})
	}
	return safetensors.EncodeHeader(nil, specs)
}

// The numbers of GGUF. Format: docs/gguf.md of ggml.
const (
	ggufVersion   = 3
	ggufText      = 8
	ggufF32       = 0
	ggufQ4K       = 12
	ggufAlignment = 32
	// Numbers of elements and bytes in a block of Q4_K.
	q4kElements, q4kBytes = 256, 144
)

func (z *zeros) gguf() (head []byte, data int64, err error) {
	var b bytes.Buffer
	put := func(values ...any) {
		for _, v := range values {
			if text, ok := v.(string); ok {
				put64(&b, uint64(len(text)))
				b.WriteString(text)
				continue
			}
			if e := binary.Write(&b, binary.LittleEndian, v); e != nil {
				err = e
			}
		}
	}
	b.WriteString("GGUF")
	put(uint32(ggufVersion), uint64(len(z.tensors)), uint64(1), "general.architecture", uint32(ggufText), z.arch)
	for _, t := range z.tensors {
		put(t.name, uint32(len(t.dims)))
		for i := range t.dims {
			put(uint64(t.dims[len(t.dims)-1-i])) //nolint:gosec // a size
		}
		kind, bytes := uint32(ggufF32), 4*t.elements()
		if t.narrow {
			if t.dims[1]%q4kElements != 0 {
				return nil, 0, fmt.Errorf("%s: rows of %d elements are no blocks of Q4_K", t.name, t.dims[1])
			}
			kind, bytes = ggufQ4K, t.elements()/q4kElements*q4kBytes
		}
		put(kind, uint64(data)) //nolint:gosec // an offset
		data = (data + bytes + ggufAlignment - 1) / ggufAlignment * ggufAlignment
	}
	b.Write(make([]byte, (ggufAlignment-b.Len()%ggufAlignment)%ggufAlignment))
	return b.Bytes(), data, err
}

func put64(b *bytes.Buffer, n uint64) { b.Write(binary.LittleEndian.AppendUint64(nil, n)) }
