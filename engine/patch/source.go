package patch

import (
	"fmt"
	"sync"

	"comfygo/engine/dtype"
	"comfygo/engine/weights"
)

// Storage is how a weight is stored after its changes; the zero value keeps the computed form.
type Storage struct {
	// Quantized reports that the weight is quantized and becomes so again, with new scales.
	Quantized bool
	// Type, when set, is the 8-bit float that the weight is rounded to, before the changes and again after them.
	Type dtype.DType
}

// patchedSource is a source some of whose tensors are computed.
type patchedSource struct {
	weights.Source
	changed map[string]func() weights.Entry
}

// Lookup implements weights.Source.
func (s *patchedSource) Lookup(name string) (weights.Entry, bool) {
	if e, ok := s.changed[name]; ok {
		return e(), true
	}
	return s.Source.Lookup(name)
}

// computed returns a source with the changes of its tensors by key.
func computed(src weights.Source, changes map[string][]applied) (weights.Source, error) {
	if len(changes) == 0 {
		return src, nil
	}
	s := &patchedSource{Source: src, changed: map[string]func() weights.Entry{}}
	for key, as := range changes {
		base, ok := src.Lookup(key)
		if !ok {
			return nil, fmt.Errorf("applying %s: %s has no tensor %q", as[0].Adapter.Entries()[0].File, src.Path(), key)
		}
		stored := storage(as)
		start := base
		if stored.Type != dtype.Invalid {
			start = roundedTo(base, stored.Type)
		}
		e, err := merge(start, as)
		if err != nil {
			return nil, err
		}
		switch {
		case stored.Type != dtype.Invalid:
			like := weights.Entry{Name: base.Name, DType: stored.Type, Shape: e.Shape, File: base.File}
			s.changed[key] = sync.OnceValue(func() weights.Entry { return storedAgain(like, e, as[0].Target.Key).AsVariable() })
		case stored.Quantized:
			s.changed[key] = sync.OnceValue(func() weights.Entry { return storedAgain(base, e, as[0].Target.Key).AsVariable() })
		default:
			e = e.AsVariable()
			s.changed[key] = func() weights.Entry { return e }
		}
	}
	return s, nil
}

// storage is how the weight that patches are applied to is stored again. Those that change a layer's output do not ask for it.
func storage(as []applied) Storage {
	for _, a := range as {
		if a.stored != (Storage{}) {
			return a.stored
		}
	}
	return Storage{}
}

// roundedTo returns a weight with its elements rounded to a type.
func roundedTo(e weights.Entry, d dtype.DType) weights.Entry {
	return weights.Compute(e.Name, e.Shape, weights.Computation{
		Op: "round to " + d.String(), Parts: []weights.Entry{e},
		Read: func(dst []float32, from int) error {
			if err := weights.Range(dst, e, from); err != nil {
				return err
			}
			return weights.Round(dst, d)
		},
	})
}

// storedAgain computes a changed weight and stores it as the original is. What fails is an error when the weight is read.
func storedAgain(like, changed weights.Entry, key string) weights.Entry {
	values := make([]float32, changed.Count())
	err := weights.ToFloat32(values, changed)
	if err == nil {
		var e weights.Entry
		if e, err = weights.Requantized(like, values, key, changed.Key()); err == nil {
			return e
		}
	}
	return weights.Compute(changed.Name, changed.Shape, weights.Computation{
		Op: "failed", Parts: []weights.Entry{changed}, Read: func([]float32, int) error { return err },
	})
}
