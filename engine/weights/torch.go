package weights

import (
	"errors"
	"fmt"

	"comfygo/engine/dtype"
	"comfygo/engine/safetensors/filemap"
	"comfygo/engine/weights/pickle"
)

// Limits against files that claim more than they hold.
const (
	maxPickle = 32 << 20 // bytes of the pickle of one file; that of a large checkpoint takes a few hundred kilobytes
	maxRank   = 64       // axes of a tensor, as in torch
)

// torchSource is a file written by torch.save.
type torchSource struct {
	m       *filemap.File
	names   []string
	entries map[string]Entry
}

// Names implements Source.
func (s *torchSource) Names() []string { return s.names }

// Metadata implements Source.
func (s *torchSource) Metadata() map[string]string { return nil }

// Path implements Source.
func (s *torchSource) Path() string { return s.m.Path() }

// Close implements Source.
func (s *torchSource) Close() error { return s.m.Close() }

// Lookup implements Source.
func (s *torchSource) Lookup(name string) (Entry, bool) {
	e, ok := s.entries[name]
	return e, ok
}

// torchFile is what both container formats give to the reader of the pickle.
type torchFile struct {
	m        *filemap.File
	budget   int64 // bytes of private memory that unpacking and copying may still take
	storages map[string]*storage
	foreign  []string // classes and functions without a meaning here, which became inert objects
}

// storage is the flat array under one or several tensors.
type storage struct {
	key    string
	dtype  dtype.DType // Invalid for an untyped storage
	count  uint64      // elements; bytes for an untyped storage
	data   []byte      // set when the content was found
	offset int64       // of data in the file, -1 when it is private memory
	owner  *filemap.File
}

// openTorch reads a file of torch.save over its mapping, which it owns from here on. whole is as for collect.
func openTorch(m *filemap.File, load func(*torchFile) (any, error), whole bool) (Source, error) {
	f := &torchFile{m: m, budget: 8*int64(len(m.Bytes())) + 64<<20, storages: map[string]*storage{}}
	s := &torchSource{m: m, entries: map[string]Entry{}}
	err := filemap.Guard(func() error {
		v, err := load(f)
		if err != nil {
			return err
		}
		return s.collect(f, v, whole)
	})
	if err != nil {
		_ = m.Close()
		return nil, fmt.Errorf("reading torch file %s: %w", m.Path(), err)
	}
	return s, nil
}

// unpickle runs one pickle of the file. refs resolves the persistent ids; a pickle without them, such as that of the
// version, needs no foreign classes either.
func (f *torchFile) unpickle(data []byte, refs func(id any) (any, error)) (any, int, error) {
	find := findTorch
	if refs != nil {
		find = f.find
	}
	return pickle.Load(data[:min(len(data), maxPickle)], pickle.Config{Find: find, Persistent: refs})
}

// find is the table of names for the pickle of weights: those of findTorch, and everything foreign that is harmless, as
// an object that does nothing.
func (f *torchFile) find(module, name string) (*pickle.Global, error) {
	g, err := findTorch(module, name)
	if err == nil || !harmless(module) {
		return g, err
	}
	g = &pickle.Global{Module: module, Name: name}
	f.foreign = append(f.foreign, g.String())
	return g, nil
}

// storageOf resolves a persistent id ("storage", type, key, location, count[, view]). Content is attached later or by
// attach, once per key.
func (f *torchFile) storageOf(id any, attach func(*storage) error) (any, error) {
	t, ok := id.(pickle.Tuple)
	if !ok || len(t) < 5 {
		return nil, errors.New("a reference that is no storage")
	}
	kind, _ := t[0].(string)
	class, ok1 := t[1].(*pickle.Global)
	key, ok2 := t[2].(string)
	count, ok3 := t[4].(int64)
	if kind != "storage" || !ok1 || !ok2 || !ok3 || count < 0 {
		return nil, errors.New("a malformed reference to a storage")
	}
	if len(t) > 5 && t[5] != nil {
		return nil, fmt.Errorf("storage %q is a view of another, as files of torch before 0.4 have it; save the file again with a newer torch", key)
	}
	d, ok := storageTypes[class.Name]
	if !ok || class.Module != "torch" && class.Module != "torch.storage" {
		return nil, fmt.Errorf("storage %q of type %v, which is not known", key, class)
	}
	if s, ok := f.storages[key]; ok {
		if s.dtype != d || s.count != uint64(count) {
			return nil, fmt.Errorf("storage %q is described in two ways", key)
		}
		return s, nil
	}
	s := &storage{key: key, dtype: d, count: uint64(count), offset: -1}
	if attach != nil {
		if err := attach(s); err != nil {
			return nil, fmt.Errorf("storage %q: %w", key, err)
		}
	}
	f.storages[key] = s
	return s, nil
}

// size returns the bytes that the storage must have.
func (s *storage) size() (uint64, error) {
	width := uint64(max(s.dtype.Size(), 1))
	if s.count > 1<<62/width {
		return 0, fmt.Errorf("%d elements are too many", s.count)
	}
	return s.count * width, nil
}

// spend takes n bytes from the budget for private memory.
func (f *torchFile) spend(n uint64) error {
	if f.budget < 0 || n > uint64(f.budget) {
		return errors.New("unpacking takes far more memory than the file is large")
	}
	f.budget -= int64(n)
	return nil
}
