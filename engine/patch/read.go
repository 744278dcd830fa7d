package patch

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"comfygo/engine/dtype"
	"comfygo/engine/weights"
)

// layer is what a file holds for one layer: tensors by role.
type layer struct {
	name  string
	by    [roles]*weights.Entry
	ranks [roles]int // of the spelling that the tensor was found under
}

// grouped sorts the tensors of a file by layer. stray lists the tensors whose names have no known ending.
func grouped(src weights.Source) (layers []*layer, stray []string) {
	index := map[string]*layer{}
	for _, n := range src.Names() {
		name, r, rank, ok := parseName(n)
		if !ok {
			stray = append(stray, n)
			continue
		}
		l := index[name]
		if l == nil {
			l = &layer{name: name}
			index[name] = l
			layers = append(layers, l)
		}
		e, ok := src.Lookup(n)
		if ok && (l.by[r] == nil || rank < l.ranks[r]) {
			l.by[r], l.ranks[r] = &e, rank
		}
	}
	return layers, stray
}

// change is an adapter for the layer's weight, or for its bias.
type change struct {
	bias    bool
	adapter Adapter
}

// changes reads the layer's adapters. Where a layer is given in several forms the last one counts, in upstream's order
// (comfy/lora.py load_lora).
func (l *layer) changes() ([]change, error) {
	var weight, bias Adapter
	for _, read := range []func() (Adapter, error){l.lowRank, l.loha, l.lokr, l.glora, l.oft, l.full} {
		a, err := read()
		if err != nil {
			return nil, err
		}
		if a != nil {
			weight = a
		}
	}
	if l.by[roleNormWeight] != nil && l.by[roleNormBias] != nil {
		bias = &Diff{*l.by[roleNormBias]}
	}
	if e := l.by[roleDiffBias]; e != nil {
		bias = &Diff{*e}
	}
	var out []change
	for i, a := range []Adapter{weight, bias} {
		if a == nil {
			continue
		}
		if err := usable(a); err != nil {
			return nil, err
		}
		out = append(out, change{i == 1, a})
	}
	return out, nil
}

// usable reports whether the tensors of an adapter are numbers. Their values are looked at later (finite), where they fit the model.
func usable(a Adapter) error {
	for _, e := range a.Entries() {
		if !e.DType.IsFloat() {
			return fmt.Errorf("%v: wanted a tensor of floating-point numbers", e)
		}
		if e.Count() == 0 {
			return fmt.Errorf("%v is empty", e)
		}
	}
	return nil
}

// finite reports whether all values of an adapter are finite numbers.
func finite(a Adapter) error {
	for _, e := range a.Entries() {
		if err := weights.Scan(e); err != nil {
			return err
		}
	}
	return nil
}

// all reports whether all of the tensors are there, none, or an error when some are.
func (l *layer) all(what string, rs ...role) (bool, error) {
	n := 0
	for _, r := range rs {
		if l.by[r] != nil {
			n++
		}
	}
	if n != 0 && n != len(rs) {
		return false, fmt.Errorf("%d of the %d tensors of %s are there", n, len(rs), what)
	}
	return n > 0, nil
}

func (l *layer) lowRank() (Adapter, error) {
	ok, err := l.all("LoRA (up and down)", roleUp, roleDown)
	if err != nil || !ok {
		return nil, err
	}
	if l.ranks[roleDown] != l.ranks[roleUp]+1 {
		return nil, fmt.Errorf("%v and %v are spelled in two ways", l.by[roleUp], l.by[roleDown])
	}
	a := &LowRank{Up: *l.by[roleUp], Down: *l.by[roleDown], DoraScale: l.by[roleDora]}
	if l.ranks[roleUp] == 0 {
		a.Mid = l.by[roleMid]
	}
	if a.Alpha, err = l.alpha(); err != nil {
		return nil, err
	}
	if e := l.by[roleReshape]; e != nil {
		if a.Reshape, err = sizes(*e); err != nil {
			return nil, err
		}
	}
	return a, a.agree()
}

func (l *layer) loha() (Adapter, error) {
	ok, err := l.all("LoHa", roleW1A, roleW1B, roleW2A, roleW2B)
	if err != nil || !ok {
		return nil, err
	}
	if _, err := l.all("LoHa's Tucker form", roleT1, roleT2); err != nil {
		return nil, err
	}
	a := &LoHa{W1A: *l.by[roleW1A], W1B: *l.by[roleW1B], W2A: *l.by[roleW2A], W2B: *l.by[roleW2B], T1: l.by[roleT1], T2: l.by[roleT2], DoraScale: l.by[roleDora]}
	a.Alpha, err = l.alpha()
	return a, err
}

func (l *layer) lokr() (Adapter, error) {
	a := &LoKr{
		W1: l.by[roleK1], W2: l.by[roleK2], W1A: l.by[roleK1A], W1B: l.by[roleK1B],
		W2A: l.by[roleK2A], W2B: l.by[roleK2B], T2: l.by[roleKT2],
	}
	if len(a.Entries()) == 0 {
		return nil, nil
	}
	if a.W1 == nil && (a.W1A == nil || a.W1B == nil) || a.W2 == nil && (a.W2A == nil || a.W2B == nil) {
		return nil, errors.New("a factor of LoKr is missing")
	}
	a.DoraScale = l.by[roleDora]
	var err error
	a.Alpha, err = l.alpha()
	return a, err
}

func (l *layer) glora() (Adapter, error) {
	ok, err := l.all("GLoRA", roleGA1, roleGA2, roleGB1, roleGB2)
	if err != nil || !ok {
		return nil, err
	}
	a := &GLoRA{A1: *l.by[roleGA1], A2: *l.by[roleGA2], B1: *l.by[roleGB1], B2: *l.by[roleGB2], DoraScale: l.by[roleDora]}
	a.Alpha, err = l.alpha()
	return a, err
}

func (l *layer) oft() (Adapter, error) {
	e := l.by[roleBlocks]
	if e == nil {
		return nil, nil
	}
	if len(e.Shape) != 3 && len(e.Shape) != 4 {
		return nil, fmt.Errorf("%v: the blocks of OFT have three axes, those of BOFT four", e)
	}
	a := &OFT{Blocks: *e, Rescale: l.by[roleRescale], DoraScale: l.by[roleDora]}
	var err error
	a.Alpha, err = l.alpha()
	return a, err
}

// full reads changes that are as large as the weight.
func (l *layer) full() (Adapter, error) {
	var a Adapter
	if e := l.by[roleNormWeight]; e != nil {
		a = &Diff{*e}
	}
	if e := l.by[roleDiff]; e != nil {
		a = &Diff{*e}
	}
	if e := l.by[roleSet]; e != nil {
		a = &Set{*e}
	}
	return a, nil
}

// alpha returns the layer's alpha, or nil.
func (l *layer) alpha() (*float64, error) {
	e := l.by[roleAlpha]
	if e == nil {
		return nil, nil
	}
	if e.Count() != 1 || e.DType == dtype.Invalid {
		return nil, fmt.Errorf("alpha is %v, wanted one number", e)
	}
	var v [1]float32
	if err := weights.ToFloat32(v[:], *e); err != nil {
		return nil, err
	}
	alpha := float64(v[0])
	if math.IsNaN(alpha) || math.IsInf(alpha, 0) {
		return nil, fmt.Errorf("alpha is %g", alpha)
	}
	return &alpha, nil
}

// sizes reads a shape that is stored as a tensor.
func sizes(e weights.Entry) ([]int, error) {
	const most = 8
	if n := e.Count(); n < 1 || n > most || e.DType == dtype.Invalid {
		return nil, fmt.Errorf("%v: wanted the shape of a weight", e)
	}
	v, err := weights.Float32s(e)
	if err != nil {
		return nil, err
	}
	out := make([]int, len(v))
	for i, f := range v {
		if f < 1 || f > 1<<24 || f != float32(math.Trunc(float64(f))) {
			return nil, fmt.Errorf("%v: %g is no size", e, f)
		}
		out[i] = int(f)
	}
	return out, nil
}

// describe returns up to n of the names, sorted, and the number of further ones.
func describe(names []string, n int) string {
	s := slices.Sorted(slices.Values(names))
	if len(s) <= n {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf("%q and %d more", s[:n], len(s)-n)
}

// Layers counts the layers for which a file holds adapters, by the names of its tensors alone: 0 for a file in which most
// tensors are not part of adapters.
func Layers(src weights.Source) int {
	layers, stray := grouped(src)
	if 2*len(stray) > len(src.Names()) {
		return 0
	}
	return len(layers)
}
