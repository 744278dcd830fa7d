package family

import "comfygo/engine/weights"

// Replaced shows a source's tensors, and those of another in place of them where they have the same names.
func Replaced(src, by weights.Source) weights.Source { return replaced{src, by} }

type replaced struct {
	weights.Source
	by weights.Source
}

// Lookup implements weights.Source.
func (r replaced) Lookup(name string) (weights.Entry, bool) {
	own, ok := r.Source.Lookup(name)
	if !ok {
		return own, false
	}
	if e, ok := r.by.Lookup(name); ok {
		e.Name = own.Name // of which a graph has one
		return e, true
	}
	return own, true
}

// Close implements weights.Source.
func (replaced) Close() error { return nil }
