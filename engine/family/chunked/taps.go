package chunked

import (
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
	plane, err := e.Plane(name, k)
	return plane, err == nil
}
