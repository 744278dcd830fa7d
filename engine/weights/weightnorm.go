package weights

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"comfygo/engine/tensor"
)

// normNames are the endings under which torch keeps the lengths and the directions of a weight that is normalised.
var normNames = [][2]string{{".weight_g", ".weight_v"}, {".parametrizations.weight.original0", ".parametrizations.weight.original1"}}

// WeightNorm shows layers whose weights are stored as lengths g and directions v under the name ".weight" that they have without: it is
// g·v/|v|, the length being that over all axes in which g has one element. Upstream: torch.nn.utils.parametrizations.weight_norm.
// Closing the view closes nothing.
func WeightNorm(src Source) Source { return normed{src} }

type normed struct{ Source }

// Close implements Source.
func (normed) Close() error { return nil }

// Lookup implements Source.
func (n normed) Lookup(name string) (Entry, bool) {
	if e, ok := n.Source.Lookup(name); ok {
		return e, true
	}
	layer, ok := strings.CutSuffix(name, ".weight")
	if !ok {
		return Entry{}, false
	}
	for _, names := range normNames {
		g, hasG := n.Source.Lookup(layer + names[0])
		v, hasV := n.Source.Lookup(layer + names[1])
		if axis := normAxis(g.Shape, v.Shape); hasG && hasV && axis >= 0 {
			return normalised(name, g, v, axis), true
		}
	}
	return Entry{}, false
}

// normAxis returns the axis along which there are lengths, the first one for a single length, -1 for shapes that do not fit.
func normAxis(g, v []int) int {
	if len(v) < 2 || len(g) != len(v) {
		return -1
	}
	axis := max(0, slices.IndexFunc(g, func(n int) bool { return n > 1 }))
	if g[axis] != v[axis] || tensor.Count(g) != g[axis] {
		return -1
	}
	return axis
}

// normalised is g·v/|v| with lengths along an axis. The lengths of v are measured at the first use.
func normalised(name string, g, v Entry, axis int) Entry {
	count, inner := v.Shape[axis], tensor.Count(v.Shape[axis+1:])
	factors := sync.OnceValues(func() ([]float64, error) {
		lengths, sums, part := make([]float32, count), make([]float64, count), make([]float32, min(1<<16, v.Count()))
		if err := Range(lengths, g, 0); err != nil {
			return nil, err
		}
		for at := 0; at < v.Count(); at += len(part) {
			part = part[:min(len(part), v.Count()-at)]
			if err := Range(part, v, at); err != nil {
				return nil, err
			}
			for i, x := range part {
				sums[(at+i)/inner%count] += float64(x) * float64(x)
			}
		}
		for i, l := range lengths {
			sums[i] = float64(l) / math.Sqrt(sums[i])
		}
		return sums, nil
	})
	return Compute(name, v.Shape, Computation{Op: fmt.Sprintf("weight norm %d", axis), Parts: []Entry{g, v}, Read: func(dst []float32, at int) error {
		by, err := factors()
		if err != nil {
			return err
		}
		if err := Range(dst, v, at); err != nil {
			return err
		}
		for i, x := range dst {
			dst[i] = float32(float64(x) * by[(at+i)/inner%count])
		}
		return nil
	}})
}
