package weights

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"comfygo/engine/safetensors"
	"comfygo/engine/safetensors/filemap"
)

type safetensorsSource struct {
	f     *safetensors.File
	names []string
}

func openSafetensors(path string) (Source, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	s := &safetensorsSource{f: f, names: make([]string, len(f.Tensors()))}
	for i, t := range f.Tensors() {
		s.names[i] = t.Name
	}
	return s, nil
}

// Names implements Source.
func (s *safetensorsSource) Names() []string { return s.names }

// Metadata implements Source.
func (s *safetensorsSource) Metadata() map[string]string { return s.f.Metadata() }

// Path implements Source.
func (s *safetensorsSource) Path() string { return s.f.Path() }

// Close implements Source.
func (s *safetensorsSource) Close() error { return s.f.Close() }

// Lookup implements Source.
func (s *safetensorsSource) Lookup(name string) (Entry, bool) {
	t, ok := s.f.Lookup(name)
	if !ok {
		return Entry{}, false
	}
	return Entry{
		Name: t.Name, DType: t.DType, TypeName: t.TypeName, Shape: t.Shape, Data: t.Data,
		File: s.f.Path(), Offset: t.Offset, owner: s.f.Map(), origin: s.f.Map().ID(),
	}, true
}

// Open opens a weight file, whatever its format; the content decides, not the name. It reads safetensors and GGUF files
// and the zip and plain pickle files that torch.save writes (.ckpt, .pt, .pth, .bin), these below the dicts that
// trainers wrap around the weights. Tensors deeper inside are named by the keys that lead to them, joined by dots.
// Errors name the file and the reason. A part of a split file ("name-00001-of-00003.safetensors") opens all parts, which are
// in the same folder.
func Open(path string) (Source, error) { return openQuantized(path, false) }

// OpenWhole is Open without going below wrappers: all tensors of the file, named from its top level.
func OpenWhole(path string) (Source, error) { return openQuantized(path, true) }

// openQuantized opens a file and adds the schemes of its quantized weights.
func openQuantized(path string, whole bool) (Source, error) {
	parts, err := shards(path)
	if err != nil {
		return nil, err
	}
	var src Source
	if len(parts) > 1 {
		src, err = openShards(path, parts, whole)
	} else {
		src, err = open(path, whole)
	}
	if err != nil {
		return nil, err
	}
	if err := checkShapes(src); err != nil {
		_ = src.Close()
		return nil, err
	}
	q, err := quantized(src)
	if err != nil {
		_ = src.Close()
		return nil, err
	}
	return q, nil
}

func open(path string, whole bool) (Source, error) {
	m, err := filemap.Open(path)
	if err != nil {
		return nil, err
	}
	var head [16]byte
	err = filemap.Guard(func() error { copy(head[:], m.Bytes()); return nil })
	switch {
	case err != nil:
		_ = m.Close()
		return nil, fmt.Errorf("reading %s: %w", path, err)
	case bytes.HasPrefix(head[:], []byte(ggufMagic)) && len(m.Bytes()) >= len(head):
		return openGGUF(m)
	case startsSafetensors(head[:]):
	case bytes.HasPrefix(head[:], []byte(zipMagic)):
		return openTorch(m, loadZip, whole)
	case startsPickle(head[:]):
		return openTorch(m, loadLegacy, whole)
	}
	size := len(m.Bytes())
	if err := m.Close(); err != nil {
		return nil, err
	}
	if what := foreign(head[:], size); what != "" {
		return nil, fmt.Errorf("reading %s: %s", path, what)
	}
	return openSafetensors(path)
}

// startsSafetensors recognises a safetensors file by its first 9 bytes: the length of a header that is not too long, and the
// header's brace. The length alone may equal the start of a pickle, or any two or four letters.
func startsSafetensors(head []byte) bool {
	return binary.LittleEndian.Uint64(head) <= safetensors.MaxHeader && head[8] == '{'
}

// foreign recognises files that are often mistaken for weights; it returns "" if head may belong to a safetensors file.
func foreign(head []byte, size int) string {
	for start, what := range map[string]string{
		"GGUF":            "the start of a GGUF file: the download was cut off",
		"version https:/": "a Git LFS pointer instead of the file itself: fetch it with git lfs pull",
		"<!DOCTYPE":       "an HTML page instead of weights: the download went wrong",
		"<!doctype":       "an HTML page instead of weights: the download went wrong",
		"<html":           "an HTML page instead of weights: the download went wrong",
		"\x89PNG":         "a PNG image, not weights",
		"\x89HDF":         "an HDF5 file, which is not a format that this loader reads",
	} {
		if bytes.HasPrefix(head, []byte(start)) {
			return what
		}
	}
	if size == 0 {
		return "the file is empty"
	}
	return ""
}
