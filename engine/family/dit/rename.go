package dit

import (
	"maps"
	"slices"
	"strings"

	"comfygo/engine/weights"
)

// Rename shows a source's tensors under the names that name gives them; the first of two that take one name keeps it.
func Rename(src weights.Source, name func(string) string) weights.Source {
	r := &renamed{Source: src, from: map[string]string{}}
	for _, n := range src.Names() {
		to := name(n)
		if _, taken := r.from[to]; !taken {
			r.from[to] = n
			r.names = append(r.names, to)
		}
	}
	return r
}

type renamed struct {
	weights.Source
	names []string
	from  map[string]string
}

// Names implements weights.Source.
func (r *renamed) Names() []string { return r.names }

// Lookup implements weights.Source.
func (r *renamed) Lookup(name string) (weights.Entry, bool) {
	from, ok := r.from[name]
	if !ok {
		return weights.Entry{}, false
	}
	return r.Source.Lookup(from)
}

// Close implements weights.Source.
func (r *renamed) Close() error { return nil }

// NormWeights is for Rename: it gives the scales of norms of queries and keys the name of weights.
func NormWeights(n string) string {
	if layer, ok := strings.CutSuffix(n, "_norm.scale"); ok {
		return layer + "_norm.weight"
	}
	return n
}

// LayerOf returns the layer whose weight a tensor is; false for other tensors.
func LayerOf(name string) (string, bool) { return strings.CutSuffix(name, weightSuffix) }

// Overlay shows a source's tensors, and those of another under the names that from gives them, which take precedence.
func Overlay(src, other weights.Source, from map[string]string) weights.Source {
	return overlay{Source: src, other: other, from: from}
}

type overlay struct {
	weights.Source
	other weights.Source
	from  map[string]string
}

// Names implements weights.Source.
func (o overlay) Names() []string {
	out := slices.DeleteFunc(slices.Clone(o.Source.Names()), func(n string) bool { return o.from[n] != "" })
	return append(out, slices.Sorted(maps.Keys(o.from))...)
}

// Lookup implements weights.Source.
func (o overlay) Lookup(name string) (weights.Entry, bool) {
	if from := o.from[name]; from != "" {
		e, ok := o.other.Lookup(from)
		e.Name = name // of which a graph has one
		return e, ok
	}
	return o.Source.Lookup(name)
}

// Close implements weights.Source.
func (overlay) Close() error { return nil }
