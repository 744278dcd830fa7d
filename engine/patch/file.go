package patch

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"comfygo/engine/weights"
)

// ErrNoMatch is wrapped by the error for a file of which nothing belongs to the model.
var ErrNoMatch = errors.New("made for another model")

// ErrNoAdapter is wrapped by the error for a file without adapters.
var ErrNoAdapter = errors.New("no part of it is a LoRA or another known adapter")

// File holds the adapters of one file that belong to a model. It is immutable.
type File struct {
	path    string
	patches []Patch
	skipped []string
	output  bool // the adapters change what layers give, not their weights
}

// Patch is one change of a model.
type Patch struct {
	Target  Target
	Adapter Adapter
}

// Read matches the adapters in src with a model: keys maps the names in src to weights, and shape returns the shape of the
// model's weight of a key, or nil if it has none. Adapters that match nothing are left out and listed by Skipped.
//
// The error wraps ErrNoMatch if no adapter belongs to the model, or if more than a tenth of those with matching names have
// other shapes.
func Read(src weights.Source, keys *KeyMap, shape func(key string) []int) (*File, error) {
	layers, stray := grouped(src)
	f := &File{path: src.Path()}
	known := map[string]*layer{}
	for _, l := range layers {
		if _, ok := keys.Lookup(l.name); ok {
			known[l.name] = l
		} else {
			f.skipped = append(f.skipped, l.name)
		}
	}
	if len(layers) == 0 {
		return nil, fmt.Errorf("reading %s with %d tensors: %w", f.path, len(src.Names()), ErrNoAdapter)
	}
	if len(known) == 0 {
		return nil, fmt.Errorf("reading %s: %w: no layer of the model is called %s", f.path, ErrNoMatch, describe(f.skipped, 4))
	}
	var broken, misfits []string
	fail := func(layer string, err error) { broken = append(broken, fmt.Sprintf("layer %s: %v", layer, err)) }
	at := map[Target]int{}
	for name, t := range keys.All() {
		l := known[name]
		if l == nil {
			continue
		}
		changes, err := l.changes()
		if err != nil {
			fail(name, err)
			continue
		}
		for _, c := range changes {
			target := t
			if c.bias {
				target = t.bias()
			}
			if err := fits(c.adapter, target, shape); err != nil {
				misfits = append(misfits, err.Error())
				continue
			}
			if err := finite(c.adapter); err != nil {
				fail(name, err)
				continue
			}
			if i, twice := at[target]; twice {
				f.patches[i].Adapter = c.adapter
				continue
			}
			at[target] = len(f.patches)
			f.patches = append(f.patches, Patch{target, c.adapter})
		}
	}
	if len(broken) > 0 {
		return nil, fmt.Errorf("reading %s: %s", f.path, several(broken))
	}
	if all := len(misfits) + len(f.patches); len(f.patches) == 0 || len(misfits)*10 > all {
		return nil, fmt.Errorf("reading %s: %w: %d of %d adapters do not fit: %s", f.path, ErrNoMatch, len(misfits), all, several(misfits))
	}
	f.skipped = append(append(f.skipped, misfits...), stray...)
	return f, nil
}

// fits reports whether an adapter fits its target.
func fits(a Adapter, t Target, shapeOf func(key string) []int) error {
	shape := shapeOf(t.Key)
	if shape == nil {
		return fmt.Errorf("%s: the model has no such weight", t.Key)
	}
	if t.Rows > 0 {
		if len(shape) == 0 || t.From < 0 || t.From+t.Rows > shape[0] {
			return fmt.Errorf("%s: rows %d to %d of a weight of shape %v", t.Key, t.From, t.From+t.Rows, shape)
		}
		shape = append([]int{t.Rows}, shape[1:]...)
		if r, ok := a.(*LowRank); ok && r.Reshape != nil {
			return fmt.Errorf("%s: rows of a fused weight cannot be reshaped", t.Key)
		}
	}
	err := a.Check(shape)
	if err == nil {
		err = affordable(a, shape)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", t.Key, err)
	}
	return nil
}

// several joins the first three of many messages.
func several(msgs []string) string {
	const most = 3
	if len(msgs) <= most {
		return strings.Join(msgs, "; ")
	}
	return fmt.Sprintf("%s; and %d more", strings.Join(msgs[:most], "; "), len(msgs)-most)
}

// Steepest returns the key of the weight whose change has the largest factor (alpha divided by the rank), and that factor; 0 when no
// adapter of the file has one.
func (f *File) Steepest() (key string, factor float64) {
	for _, p := range f.patches {
		v := 0.0
		switch a := p.Adapter.(type) {
		case *LowRank:
			v = a.Scale()
		case interface{ scale() float64 }:
			v = a.scale()
		}
		if v = math.Abs(v); v > factor {
			key, factor = p.Target.Key, v
		}
	}
	return key, factor
}

// Path is the file that the adapters were read from.
func (f *File) Path() string { return f.path }

// Patches lists the changes. The slice must not be changed.
func (f *File) Patches() []Patch { return f.patches }

// Changes reports whether the file changes a weight whose key begins with prefix.
func (f *File) Changes(prefix string) bool {
	return slices.ContainsFunc(f.patches, func(p Patch) bool { return strings.HasPrefix(p.Target.Key, prefix) })
}

// Skipped describes the unused parts of the file: layers that the model does not have and tensors of unknown meaning, by
// their names in the file, and adapters of another shape than the weight. It is for the log.
func (f *File) Skipped() []string { return f.skipped }

// LeftOut describes the adapters that fit the model and still change nothing, because upstream cannot compute them and leaves the
// weights unchanged. It is for the client.
func (f *File) LeftOut() []string {
	var out []string
	for _, p := range f.patches {
		if why := inert(p.Adapter); why != "" {
			out = append(out, fmt.Sprintf("%s of %s (%s)", p.Adapter.Form(), p.Target.Key, why))
		}
	}
	return out
}

// ofOutput reports whether an adapter of the file changes what a layer gives. Differences and values of weights never do.
func (f *File) ofOutput(a Adapter) bool {
	switch a.(type) {
	case *Diff, *Set:
		return false
	}
	return f.output
}

// OfOutput returns the adapters in the form that changes a layer's output rather than its weight, as upstream's bypass
// loaders apply them: without DoRA's magnitudes, and with rotations of the whole output, its bias included. shape is as for
// Read. (Upstream: weight_adapter/bypass.py, which fails for GLoRA; here GLoRA changes the weight as usual.)
func (f *File) OfOutput(shape func(key string) []int) *File {
	out := &File{path: f.path, skipped: f.skipped, output: true}
	for _, p := range f.patches {
		switch a := p.Adapter.(type) {
		case *LowRank:
			c := *a
			c.DoraScale = nil
			p.Adapter = &c
		case *LoHa:
			c := *a
			c.DoraScale = nil
			p.Adapter = &c
		case *LoKr:
			c := *a
			c.DoraScale, c.FirstRank = nil, true
			p.Adapter = &c
		case *GLoRA:
			c := *a
			c.DoraScale = nil
			p.Adapter = &c
		case *OFT:
			c := *a
			c.DoraScale, c.Output = nil, true
			p.Adapter = &c
			if bias := p.Target.bias(); shape(bias.Key) != nil {
				defer func() { out.patches = append(out.patches, Patch{bias, &c}) }()
			}
		}
		out.patches = append(out.patches, p)
	}
	return out
}
