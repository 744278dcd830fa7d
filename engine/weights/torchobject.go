package weights

import (
	"bytes"
	"errors"
	"fmt"

	"comfygo/engine/safetensors/filemap"
	"comfygo/engine/weights/pickle"
)

// Limits of a value that ReadTorch returns. Several places of a small pickle may hold one value, so that the whole is far larger
// than the file.
const (
	maxObjectDepth  = 32
	maxObjectValues = 1 << 22
)

// ReadTorch reads any value of plain types that torch.save wrote and passes it to use: lists as []any, tuples as pickle.Tuple,
// dicts as *pickle.Dict, tensors as Entry. No code of the file is executed, and a file that names any other class is rejected. The
// value is valid until use returns.
func ReadTorch(path string, use func(value any) error) (err error) {
	m, err := filemap.Open(path)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := m.Close(); err == nil {
			err = closeErr
		}
	}()
	return filemap.Guard(func() error {
		f := &torchFile{m: m, budget: 8*int64(len(m.Bytes())) + 64<<20, storages: map[string]*storage{}}
		v, err := f.load()
		if err == nil && len(f.foreign) > 0 {
			err = refusal(f.foreign[0])
		}
		left := maxObjectValues
		if err == nil {
			v, err = f.object(v, 0, &left)
		}
		if err != nil {
			return fmt.Errorf("reading torch file %s: %w", path, err)
		}
		return use(v)
	})
}

// load reads the container that the file begins like.
func (f *torchFile) load() (any, error) {
	all := f.m.Bytes()
	switch {
	case bytes.HasPrefix(all, []byte(zipMagic)):
		return loadZip(f)
	case startsPickle(all):
		return loadLegacy(f)
	}
	var head [16]byte
	copy(head[:], all)
	if what := foreign(head[:], len(all)); what != "" {
		return nil, errors.New(what)
	}
	if startsSafetensors(head[:]) {
		return nil, errors.New("it is a safetensors file, wanted one of torch.save")
	}
	return nil, errors.New("it is no file of torch.save")
}

// object replaces the tensors of an unpickled value.
func (f *torchFile) object(v any, depth int, left *int) (any, error) {
	if *left--; *left < 0 || depth > maxObjectDepth {
		return nil, fmt.Errorf("more than %d values, or more than %d inside each other", maxObjectValues, maxObjectDepth)
	}
	switch v := v.(type) {
	case *torchTensor:
		return f.entry("", v)
	case *pickle.List:
		return f.objects(v.Items, depth, left)
	case pickle.Tuple:
		list, err := f.objects(v, depth, left)
		return pickle.Tuple(list), err
	case *pickle.Dict:
		out := &pickle.Dict{}
		for i, key := range v.Keys {
			value, err := f.object(v.Values[i], depth+1, left)
			if err != nil {
				return nil, err
			}
			out.Set(key, value)
		}
		return out, nil
	case *pickle.Object, *pickle.Global, *storage:
		return nil, errors.New("it holds objects beside tensors, texts, numbers, lists and dicts")
	}
	return v, nil
}

func (f *torchFile) objects(list []any, depth int, left *int) ([]any, error) {
	out := make([]any, len(list))
	for i, e := range list {
		var err error
		if out[i], err = f.object(e, depth+1, left); err != nil {
			return nil, err
		}
	}
	return out, nil
}
