package stableaudio

import (
	"math"
	"strings"

	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// The endings of computed tensors.
const (
	suffixWeight = ".weight"
	suffixPower  = ".alpha.exp"    // e to the power of alpha
	suffixShare  = ".beta.inverse" // 1/(e to the power of beta)
	smallest     = 1e-9
)

// normed shows convolutions whose weights are stored as directions and lengths as plain ones, and the factors of activations as the
// graph takes them.
type normed struct{ weights.Source }

// Close implements weights.Source.
func (normed) Close() error { return nil }

// Lookup implements weights.Source.
func (n normed) Lookup(name string) (weights.Entry, bool) {
	if e, ok := n.Source.Lookup(name); ok {
		return e, true
	}
	if layer, ok := strings.CutSuffix(name, suffixPower); ok {
		return n.mapped(name, layer+".alpha", "exp", math.Exp)
	}
	if layer, ok := strings.CutSuffix(name, suffixShare); ok {
		return n.mapped(name, layer+".beta", "inverse exp", func(v float64) float64 { return 1 / (math.Exp(v) + smallest) })
	}
	layer, ok := strings.CutSuffix(name, suffixWeight)
	if !ok {
		return weights.Entry{}, false
	}
	for _, names := range [][2]string{{".weight_g", ".weight_v"}, {".parametrizations.weight.original0", ".parametrizations.weight.original1"}} {
		g, has := n.Source.Lookup(layer + names[0])
		v, has2 := n.Source.Lookup(layer + names[1])
		if has && has2 && len(v.Shape) > 1 && g.Count() == v.Shape[0] {
			return ofLength(name, g, v), true
		}
	}
	return weights.Entry{}, false
}

func (n normed) mapped(name, from, op string, f func(v float64) float64) (weights.Entry, bool) {
	e, ok := n.Source.Lookup(from)
	if !ok {
		return e, false
	}
	return weights.Compute(name, []int{1, e.Count(), 1}, weights.Computation{Op: op, Parts: []weights.Entry{e}, Read: func(dst []float32, at int) error {
		if err := weights.Range(dst, e, at); err != nil {
			return err
		}
		for i, v := range dst {
			dst[i] = float32(f(float64(v)))
		}
		return nil
	}}), true
}

// ofLength is g·v/|v| for each row. Upstream: torch.nn.utils.parametrizations.weight_norm.
func ofLength(name string, g, v weights.Entry) weights.Entry {
	size := tensor.Count(v.Shape[1:])
	return weights.Compute(name, v.Shape, weights.Computation{Op: "weight norm", Parts: []weights.Entry{g, v}, Read: func(dst []float32, at int) error {
		row, length := make([]float32, size), make([]float32, 1)
		for len(dst) > 0 {
			r, skip := at/size, at%size
			if err := weights.Range(row, v, r*size); err != nil {
				return err
			}
			if err := weights.Range(length, g, r); err != nil {
				return err
			}
			sum := 0.0
			for _, x := range row {
				sum += float64(x) * float64(x)
			}
			by := float64(length[0]) / math.Sqrt(sum)
			n := min(size-skip, len(dst))
			for i := range n {
				dst[i] = float32(float64(row[skip+i]) * by)
			}
			dst, at = dst[n:], at+n
		}
		return nil
	}})
}
