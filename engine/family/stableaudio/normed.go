package stableaudio

import (
	"math"
	"strings"

	"comfygo/engine/weights"
)

// The names of computed factors of periodic activations: e to the power of alpha, and one through e to the power of alpha or beta.
const (
	ExpAlpha     = "alpha.exp"
	InverseAlpha = "alpha.inverse"
	InverseBeta  = "beta.inverse"
)

const smallest = 1e-9

// Factors shows the tensors of src and the factors of activations, [1,C,1] each, which it stores as logarithms.
func Factors(src weights.Source) weights.Source { return normed{src} }

// normed shows the factors of activations as the graph takes them.
type normed struct{ weights.Source }

// Close implements weights.Source.
func (normed) Close() error { return nil }

// Lookup implements weights.Source.
func (n normed) Lookup(name string) (weights.Entry, bool) {
	if e, ok := n.Source.Lookup(name); ok {
		return e, true
	}
	if layer, ok := strings.CutSuffix(name, "."+ExpAlpha); ok {
		return n.mapped(name, layer+".alpha", "exp", math.Exp)
	}
	for _, factor := range []string{"alpha", "beta"} {
		if layer, ok := strings.CutSuffix(name, "."+factor+".inverse"); ok {
			return n.mapped(name, layer+"."+factor, "inverse exp", func(v float64) float64 { return 1 / (math.Exp(v) + smallest) })
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

// Reciprocal is the name of what Reciprocals adds to a layer with "alpha".
const Reciprocal = "alpha.reciprocal"

// Reciprocals shows beside each factor "alpha" of a periodic activation, which is not an exponent, the value 1/(alpha+1e-9) as [1,C,1].
func Reciprocals(src weights.Source) weights.Source { return reciprocals{src} }

type reciprocals struct{ weights.Source }

// Close implements weights.Source.
func (reciprocals) Close() error { return nil }

// Lookup implements weights.Source.
func (r reciprocals) Lookup(name string) (weights.Entry, bool) {
	layer, ok := strings.CutSuffix(name, "."+Reciprocal)
	if !ok {
		return r.Source.Lookup(name)
	}
	return normed(r).mapped(name, layer+".alpha", "reciprocal", func(v float64) float64 { return 1 / (v + smallest) })
}
