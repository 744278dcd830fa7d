package layout

import (
	"fmt"
	"math"
	"strings"

	"comfygo/engine/weights"
)

// FoldedNorms shows convolutions "….0" that a batch norm "….1" follows as convolutions with bias that do the work of both:
// while a network runs, a batch norm is a factor and a summand for each channel.
type FoldedNorms struct {
	weights.Source
	// Epsilon returns the epsilon of the batch norm at a path.
	Epsilon func(path string) float64
	// Behind, when set, returns the path of the batch norm that follows the convolution at a path, "" for none; it takes the place of the rule of
	// "….0" and "….1".
	Behind func(layer string) string
}

// behind is the path of the batch norm that follows the convolution at a path, "" for none.
func (f FoldedNorms) behind(layer string) string {
	if f.Behind != nil {
		return f.Behind(layer)
	}
	if before, ok := strings.CutSuffix(layer, ".0"); ok {
		return before + ".1"
	}
	return ""
}

// Lookup implements weights.Source.
func (f FoldedNorms) Lookup(name string) (weights.Entry, bool) {
	e, ok := f.Source.Lookup(name)
	if layer, is := strings.CutSuffix(name, ".weight"); is && ok && len(e.Shape) > 1 {
		if n, found := f.following(layer); found && n.channels == e.Shape[0] {
			return n.times(e), true
		}
	}
	if layer, is := strings.CutSuffix(name, ".bias"); is {
		if n, found := f.following(layer); found && (!ok || len(e.Shape) == 1 && n.channels == e.Shape[0]) {
			if ok {
				n.bias = &e
			}
			return n.Vector(name, Summands, n.channels), true
		}
	}
	return e, ok
}

// following returns the batch norm that follows the convolution at a path, and whether there is one.
func (f FoldedNorms) following(layer string) (BatchNorm, bool) {
	path := f.behind(layer)
	if path == "" {
		return BatchNorm{}, false
	}
	return f.Norm(path)
}

// Norm returns the batch norm at a path, and whether there is one.
func (f FoldedNorms) Norm(path string) (BatchNorm, bool) {
	n := BatchNorm{epsilon: f.Epsilon(path)}
	return n, n.read(f.Source, path)
}

// BatchNorm is a batch norm: weight and bias may be missing.
type BatchNorm struct {
	epsilon  float64
	channels int
	// parts are the mean, the variance, the weight and the bias.
	parts [4]*weights.Entry
	// bias is that of the convolution before it, nil without one.
	bias *weights.Entry
}

// What Vector gives of each channel.
const (
	Factors  = "factor"
	Summands = "summand"
)

// read reports whether there is a batch norm at a path of src.
func (n *BatchNorm) read(src weights.Source, path string) bool {
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

// Channels is the number of its channels.
func (n BatchNorm) Channels() int { return n.channels }

// entries lists the entries of the norm, after others.
func (n BatchNorm) entries(others ...weights.Entry) []weights.Entry {
	for _, p := range append(n.parts[:], n.bias) {
		if p != nil {
			others = append(others, *p)
		}
	}
	return others
}

// op names a computation with the norm.
func (n BatchNorm) op(what string) string {
	return fmt.Sprintf("batch norm %s %g %t %t %t", what, n.epsilon, n.parts[2] != nil, n.parts[3] != nil, n.bias != nil)
}

// channel returns the factor and the summand of channels [from, from+count).
func (n BatchNorm) values(from, count int) (factors, summands []float64, err error) {
	var v [5][]float32
	for i, p := range append(n.parts[:], n.bias) {
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
		mean := float64(v[0][i])
		if v[4] != nil {
			mean -= float64(v[4][i])
		}
		summands[i] -= mean * factors[i]
	}
	return factors, summands, nil
}

// times returns a weight [channels,…] times the factors.
func (n BatchNorm) times(e weights.Entry) weights.Entry {
	per := e.Count() / max(n.channels, 1)
	return weights.Compute(e.Name, e.Shape, weights.Computation{Op: n.op(Factors), Parts: n.entries(e), Read: func(dst []float32, from int) error {
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

// Vector returns the factors or the summands as a weight of a shape.
func (n BatchNorm) Vector(name, what string, shape ...int) weights.Entry {
	return weights.Compute(name, shape, weights.Computation{Op: n.op(what), Parts: n.entries(), Read: func(dst []float32, from int) error {
		factors, summands, err := n.values(from, len(dst))
		if what == Summands {
			factors = summands
		}
		for i := range factors {
			dst[i] = float32(factors[i])
		}
		return err
	}})
}
