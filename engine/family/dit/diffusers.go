package dit

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"

	"comfygo/engine/patch"
	"comfygo/engine/weights"
)

// weightSuffix ends the keys of layers' weights.
const weightSuffix = ".weight"

// Names pairs diffusers' names of a model's layers and single tensors with the model's own weights: names of layers lack
// ".weight" and include the bias. One table serves adapter files and whole models in the layout of diffusers.
type Names struct {
	list []named
}

type named struct {
	name   string
	target patch.Target
}

// Layer adds a layer.
func (n *Names) Layer(diffusers, own string) { n.add(diffusers, patch.Target{Key: own + weightSuffix}) }

// Rows adds a layer that is rows of one of the model's.
func (n *Names) Rows(diffusers, own string, from, rows int) {
	n.add(diffusers, patch.Target{Key: own + weightSuffix, From: from, Rows: rows})
}

// Swapped adds a layer whose two halves are swapped.
func (n *Names) Swapped(diffusers, own string) {
	n.add(diffusers, patch.Target{Key: own + weightSuffix, SwapHalves: true})
}

// Tensor adds a tensor that is not a layer.
func (n *Names) Tensor(diffusers, own string) { n.add(diffusers, patch.Target{Key: own}) }

// Fused adds layers of equal size that are the rows of one of the model's, in order.
func (n *Names) Fused(own string, rows int, diffusers ...string) {
	for i, d := range diffusers {
		n.Rows(d, own, i*rows, rows)
	}
}

func (n *Names) add(name string, t patch.Target) { n.list = append(n.list, named{name, t}) }

// AddTo adds the names of layers to the names that adapters use, by each spelling: a function that converts diffusers' name
// to the name in an adapter file.
func (n *Names) AddTo(m *patch.KeyMap, part string, spellings ...func(string) string) {
	for _, l := range n.list {
		if !strings.HasSuffix(l.target.Key, weightSuffix) {
			continue
		}
		t := l.target
		t.Key = part + t.Key
		for _, spell := range spellings {
			m.Add(spell(l.name), t)
		}
	}
}

// All lists the names of tensors, including those of layers' weights and biases, with their targets.
func (n *Names) All() iter.Seq2[string, patch.Target] {
	return func(yield func(string, patch.Target) bool) {
		for _, l := range n.list {
			own, layer := strings.CutSuffix(l.target.Key, weightSuffix)
			if !layer {
				if !yield(l.name, l.target) {
					return
				}
				continue
			}
			bias := l.target
			bias.Key = own + ".bias"
			if !yield(l.name+weightSuffix, l.target) || !yield(l.name+".bias", bias) {
				return
			}
		}
	}
}

// Prefixed spells a name with a prefix.
func Prefixed(prefix string) func(string) string { return func(n string) string { return prefix + n } }

// Underscored spells a name with a prefix and underscores for dots.
func Underscored(prefix string) func(string) string {
	return func(n string) string { return prefix + strings.ReplaceAll(n, ".", "_") }
}

// View shows a model in the layout of diffusers under its own names. Tensors that the table lacks are left out, as
// upstream leaves them out (model_detection.py convert_diffusers_mmdit).
func (n *Names) View(src weights.Source) weights.Source {
	v := &view{Source: src, parts: map[string][]piece{}}
	for name, target := range n.All() {
		v.add(name, target)
	}
	return v
}

// piece is a tensor of the file and its place in a tensor of the model.
type piece struct {
	from   string
	target patch.Target
}

type view struct {
	weights.Source
	names []string
	parts map[string][]piece
}

func (v *view) add(from string, t patch.Target) {
	if _, ok := v.Source.Lookup(from); !ok {
		return
	}
	if len(v.parts[t.Key]) == 0 {
		v.names = append(v.names, t.Key)
	} else if t.Rows == 0 {
		return // another name of the same tensor
	}
	v.parts[t.Key] = append(v.parts[t.Key], piece{from, t})
}

// Names implements weights.Source.
func (v *view) Names() []string { return v.names }

// Close implements weights.Source.
func (v *view) Close() error { return nil }

// Lookup implements weights.Source. A tensor whose pieces do not fit has no data, which its conversion reports.
func (v *view) Lookup(name string) (weights.Entry, bool) {
	pieces := slices.SortedFunc(slices.Values(v.parts[name]), func(a, b piece) int { return cmp.Compare(a.target.From, b.target.From) })
	if len(pieces) == 0 {
		return weights.Entry{}, false
	}
	var list []weights.Entry
	for _, p := range pieces {
		e, ok := v.Source.Lookup(p.from)
		if !ok {
			return weights.Entry{}, false
		}
		list = append(list, e)
	}
	out, err := list[0], error(nil)
	switch {
	case len(list) > 1:
		out, err = stack(list)
	case pieces[0].target.SwapHalves && len(out.Shape) > 0:
		out, err = swap(out)
	}
	if err != nil {
		out = list[0]
		out.Data = nil
	}
	return out, true
}

// stack joins entries along their first axis.
func stack(list []weights.Entry) (weights.Entry, error) {
	flat := make([]weights.Entry, len(list))
	rows := 0
	for i, e := range list {
		if len(e.Shape) == 0 || len(e.Shape) != len(list[0].Shape) {
			return e, fmt.Errorf("joining %v of %s: its shape does not fit", e, e.File)
		}
		var err error
		if flat[i], err = e.Reshape(e.Shape[0], e.Count()/max(e.Shape[0], 1)); err != nil {
			return e, err
		}
		rows += e.Shape[0]
	}
	out, err := weights.Concat(0, flat...)
	if err != nil {
		return out, err
	}
	return out.Reshape(append([]int{rows}, list[0].Shape[1:]...)...)
}

// swap trades the places of the first and the second half of an entry's rows.
func swap(e weights.Entry) (weights.Entry, error) {
	half := e.Shape[0] / 2
	first, err := e.Rows(0, half)
	if err != nil {
		return e, err
	}
	second, err := e.Rows(half, e.Shape[0]-half)
	if err != nil {
		return e, err
	}
	return stack([]weights.Entry{second, first})
}
