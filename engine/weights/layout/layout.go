// Package layout shows weights that are saved in one program's layout under the names and shapes of another's, so that a
// model needs to be written for one layout only. Each converter is a view that copies nothing, and returns its source unchanged when that is not in the layout it converts from.
//
// The package knows names, not models: which layout a model wants is the model's affair.
package layout

import "comfygo/engine/weights"

// view is a source whose tensors are made from those of another.
type view struct {
	weights.Source
	names []string
	made  map[string]func() (weights.Entry, bool)
}

func newView(src weights.Source) *view {
	return &view{Source: src, made: make(map[string]func() (weights.Entry, bool), len(src.Names()))}
}

// Names implements weights.Source.
func (v *view) Names() []string { return v.names }

// Lookup implements weights.Source.
func (v *view) Lookup(name string) (weights.Entry, bool) {
	if f, ok := v.made[name]; ok {
		return f()
	}
	return weights.Entry{}, false
}

// Close implements weights.Source.
func (v *view) Close() error { return nil }

// add gives the tensor from of the source another name, and its entry another form unless change is nil. The first tensor
// that takes a name keeps it. An entry that cannot be changed has no data, which its conversion reports.
func (v *view) add(name, from string, change func(weights.Entry) (weights.Entry, error)) {
	if _, taken := v.made[name]; taken {
		return
	}
	v.names = append(v.names, name)
	v.made[name] = func() (weights.Entry, bool) {
		e, ok := v.Source.Lookup(from)
		if !ok || change == nil {
			return e, ok
		}
		changed, err := change(e)
		if err != nil {
			e.Data = nil
			return e, true
		}
		return changed, true
	}
}

func has(src weights.Source, name string) bool {
	_, ok := src.Lookup(name)
	return ok
}
