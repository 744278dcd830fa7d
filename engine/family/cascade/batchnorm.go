package cascade

import (
	"fmt"
	"math"
	"strings"

	"comfygo/engine/weights"
)

// foldedNorms shows convolutions "….0" that a batch norm "….1" follows as convolutions with bias that do the work of both:
// while a network runs, a batch norm is a factor and a summand for each channel.
type foldedNorms struct{ weights.Source }

// Lookup implements weights.Source.
func (f foldedNorms) Lookup(name string) (weights.Entry, bool) {
	e, ok := f.Source.Lookup(name)
	if layer, is := strings.CutSuffix(name, ".0.weight"); is && ok && len(e.Shape) > 1 {
		if n, found := f.norm(layer + ".1"); found && n.channels == e.Shape[0] {
			return n.times(e), true
		}
	}
	if layer, is := strings.CutSuffix(name, ".0.bias"); is && !ok {
		if n, found := f.norm(layer + ".1"); found {
			return n.summands(name), true
		}
	}
	return e, ok
}

// norm is the batch norm at a path.
func (f foldedNorms) norm(path string) (batchNorm, bool) {
	// normEpsilon is the epsilon of batch norms, netEpsilon that of those of EfficientNetV2.
	const normEpsilon, netEpsilon = 1e-5, 1e-3
	n := batchNorm{epsilon: normEpsilon}
	if strings.Contains(path, "backbone.") {
		n.epsilon = netEpsilon
	}
	return n, n.read(f.Source, path)
}

// batchNorm is a batch norm: weight and bias may be missing.
type batchNorm struct {
	epsilon  float64
	channels int
	// parts are the mean, the variance, the weight and the bias.
	parts [4]*weights.Entry
}

// read reports whether there is a batch norm at a path of src.
func (n *batchNorm) read(src weights.Source, path string) bool {
	for i, name := range []string{"running_mean", "running_var", "weight", "bias"} {
		e, ok := src.Lookup(path + "." + name)
		if !ok || len(e.Shape) != 1 || i > 0 && e.Shape[0] != n.channels {
			if i < 2 {
				return false
			}
			continue
		}
		n.channels, n.parts[i] = e.Shape[0], &e
	}
	return true
}

// entries lists the entries of the norm, after others.
func (n batchNorm) entries(others ...weights.Entry) []weights.Entry {
	for _, p := range n.parts {
		if p != nil {
			others = append(others, *p)
		}
	}
	return others
}

// op names a computation with the norm.
func (n batchNorm) op(what string) string {
	return fmt.Sprintf("batch norm %s %g %t %t", what, n.epsilon, n.parts[2] != nil, n.parts[3] != nil)
}

// channel returns the factor and the summand of channels [from, from+count).
func (n batchNorm) values(from, count int) (factors, summands []float64, err error) {
	var v [4][]float32
	for i, p := range n.parts {
		if p == nil {
			continue
		}
		v[i] = make([]float32, count)
		if err := weights.Range(v[i], *p, from); err != nil {
			return nil, nil, err
		}
	}
	factors, summands = make([]float64, count), make([]float64, count)
	for i := range count {
		factors[i] = 1 / math.Sqrt(float64(v[1][i])+n.epsilon)
		if v[2] != nil {
			factors[i] *= float64(v[2][i])
		}
		if v[3] != nil {
			summands[i] = float64(v[3][i])
		}
		summands[i] -= float64(v[0][i]) * factors[i]
	}
	return factors, summands, nil
}

// times returns a weight [channels,…] times the factors.
func (n batchNorm) times(e weights.Entry) weights.Entry {
	per := e.Count() / max(n.channels, 1)
	return weights.Compute(e.Name, e.Shape, weights.Computation{Op: n.op("factor"), Parts: n.entries(e), Read: func(dst []float32, from int) error {
		if len(dst) == 0 {
			return nil
		}
		if err := weights.Range(dst, e, from); err != nil {
			return err
		}
		first := from / per
		factors, _, err := n.values(first, (from+len(dst)-1)/per-first+1)
		if err != nil {
			return err
		}
		for i := range dst {
			dst[i] = float32(float64(dst[i]) * factors[(from+i)/per-first])
		}
		return nil
	}})
}

// summands returns the summands [channels] as a weight.
func (n batchNorm) summands(name string) weights.Entry { return n.vector(name, "summand", n.channels) }

// vector returns the factors or the summands as a weight of a shape.
func (n batchNorm) vector(name, what string, shape ...int) weights.Entry {
	return weights.Compute(name, shape, weights.Computation{Op: n.op(what), Parts: n.entries(), Read: func(dst []float32, from int) error {
		factors, summands, err := n.values(from, len(dst))
		if what == "summand" {
			factors = summands
		}
		for i := range factors {
			dst[i] = float32(factors[i])
		}
		return err
	}})
}
