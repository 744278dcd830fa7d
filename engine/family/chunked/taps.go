package chunked

import (
	"fmt"
	"strconv"
	"strings"

	"comfygo/engine/weights"
)

// Taps shows the convolutions over time of a VAE, X.weight [O,I,t,h,w], also as t convolutions of images, X.tap0.weight [O,I,h,w]
// and so on, whose sum over the frames they are: convolutions of images have the faster kernels. The bias goes with the last one.
type Taps struct{ weights.Source }

const tapMark = ".tap"

// TapName is the name of convolution k of those of a layer; see Taps.
func TapName(k int) string { return "tap" + strconv.Itoa(k) }

// Names implements weights.Source.
func (t Taps) Names() []string {
	var out []string
	for _, n := range t.Source.Names() {
		out = append(out, n)
		layer, ok := strings.CutSuffix(n, ".weight")
		if e, found := t.Source.Lookup(n); ok && found && len(e.Shape) == 5 && e.Shape[2] > 1 {
			for k := range e.Shape[2] {
				out = append(out, layer+"."+TapName(k)+".weight")
			}
			out = append(out, layer+"."+TapName(e.Shape[2]-1)+".bias")
		}
	}
	return out
}

// Close implements weights.Source.
func (Taps) Close() error { return nil }

// Lookup implements weights.Source.
func (t Taps) Lookup(name string) (weights.Entry, bool) {
	layer, rest, ok := strings.Cut(name, tapMark)
	if !ok {
		return t.Source.Lookup(name)
	}
	number, kind, _ := strings.Cut(rest, ".")
	k, err := strconv.Atoi(number)
	e, found := t.Source.Lookup(layer + ".weight")
	if err != nil || !found || len(e.Shape) != 5 || k >= e.Shape[2] {
		return weights.Entry{}, false
	}
	if kind == "bias" {
		if k != e.Shape[2]-1 {
			return weights.Entry{}, false
		}
		return t.Source.Lookup(layer + ".bias")
	}
	return tap(name, e, k), true
}

// tap is convolution k of one over time.
func tap(name string, e weights.Entry, k int) weights.Entry {
	s := e.Shape
	size := s[3] * s[4]
	shape := []int{s[0], s[1], s[3], s[4]}
	if len(e.Data) == 0 && !e.Computed() { // only described
		e.Name, e.Shape = name, shape
		return e
	}
	return weights.Compute(name, shape, weights.Computation{Op: fmt.Sprintf("tap %d", k), DType: e.DType, Parts: []weights.Entry{e}, Read: func(dst []float32, from int) error {
		for len(dst) > 0 {
			plane, at := from/size, from%size
			n := min(len(dst), size-at)
			if err := weights.Range(dst[:n], e, (plane*s[2]+k)*size+at); err != nil {
				return err
			}
			dst, from = dst[n:], from+n
		}
		return nil
	}})
}
