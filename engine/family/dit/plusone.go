package dit

import (
	"strings"

	"comfygo/engine/weights"
)

// PlusOne shows the scales of norms, which are stored minus one, as the norms' weights. Tensors of other names are
// unchanged.
func PlusOne(src weights.Source) weights.Source {
	p := plusOne{Source: src}
	for _, n := range src.Names() {
		if layer, ok := strings.CutSuffix(n, scaleSuffix); ok {
			n = layer + weightSuffix
		}
		p.names = append(p.names, n)
	}
	return p
}

const scaleSuffix = ".scale"

type plusOne struct {
	weights.Source
	names []string
}

// Names implements weights.Source.
func (p plusOne) Names() []string { return p.names }

// Close implements weights.Source.
func (p plusOne) Close() error { return nil }

// Lookup implements weights.Source.
func (p plusOne) Lookup(name string) (weights.Entry, bool) {
	if e, ok := p.Source.Lookup(name); ok {
		return e, true
	}
	layer, ok := strings.CutSuffix(name, weightSuffix)
	if !ok {
		return weights.Entry{}, false
	}
	e, ok := p.Source.Lookup(layer + scaleSuffix)
	if !ok {
		return e, false
	}
	return weights.Compute(e.Name, e.Shape, weights.Computation{Op: "plus one", Parts: []weights.Entry{e}, Read: func(dst []float32, from int) error {
		if err := weights.Range(dst, e, from); err != nil {
			return err
		}
		for i := range dst {
			dst[i]++
		}
		return nil
	}}), true
}
