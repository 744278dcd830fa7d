package patch

import (
	"fmt"
	"sync"

	"comfygo/engine/tensor"
	"comfygo/engine/vec"
	"comfygo/engine/weights"
)

// applied is a patch with the strength that it is applied with.
type applied struct {
	Patch
	strength float64
	stored   Storage
}

// additive is implemented by adapters whose change does not depend on the weight.
type additive interface {
	Adapter
	// delta returns the change, scaled, as a matrix of the weight's rows that is computed where it is needed: the function
	// adds factor times elements [row, col:col+len(dst)] to dst.
	delta() adder
	// scale is what the product of the factors is multiplied by.
	scale() float64
	// dora returns the magnitudes of the changed weight; nil for a change that is just added.
	dora() *weights.Entry
}

// relative is implemented by adapters whose change is computed from the weight.
type relative interface {
	Adapter
	// deltaOf returns the change of a part of a weight at a strength; see additive.
	deltaOf(r region, strength float64) adder
	// factor is what the change is multiplied by when it is added.
	factor(strength float64) float64
	scale() float64
	dora() *weights.Entry
}

// bound is a relative change of one weight.
type bound struct {
	relative
	strength float64
	add      adder
}

func (b bound) delta() adder { return b.add }

type adder func(dst []float32, row, col int, factor float32) error

// merge returns the weight base with patches applied to it in order, computed in float32 while it is read. Its error wraps
// ErrNotAvailable for a method that cannot be computed.
func merge(base weights.Entry, patches []applied) (weights.Entry, error) {
	e := base
	for _, p := range patches {
		var err error
		if e, err = mergeOne(e, p); err != nil {
			return weights.Entry{}, err
		}
	}
	if dependent(patches) < 2 {
		return e, nil
	}
	// Patches that read the weight which those before them made, some of them twice, would compute it anew each time.
	chain := func() ([]float32, error) {
		at := base
		var v []float32
		for _, p := range patches {
			next, err := mergeOne(at, p)
			if err == nil {
				v, err = weights.Float32s(next)
			}
			if err != nil {
				return nil, err
			}
			at = held(next, v)
		}
		return v, nil
	}
	values := &passing{compute: chain}
	return weights.Compute(base.Name, e.Shape, weights.Computation{Op: "chain", Parts: []weights.Entry{e}, Read: func(dst []float32, from int) error {
		return values.read(dst, from)
	}}), nil
}

// held is an entry whose elements are in memory.
func held(like weights.Entry, v []float32) weights.Entry {
	return weights.Compute(like.Name, like.Shape, weights.Computation{Op: "held", Parts: []weights.Entry{like}, Read: func(dst []float32, from int) error {
		copy(dst, v[from:])
		return nil
	}})
}

// passing are values that are computed together, when the first is read, and let go when all were read: weights are read once for
// a graph.
type passing struct {
	compute func() ([]float32, error)
	mu      sync.Mutex
	values  []float32
	left    int // to be read
}

// read copies values from an index on.
func (p *passing) read(dst []float32, from int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.values == nil {
		v, err := p.compute()
		if err != nil {
			return err
		}
		p.values, p.left = v, len(v)
	}
	copy(dst, p.values[from:])
	if p.left -= len(dst); p.left <= 0 {
		p.values = nil
	}
	return nil
}

func mergeOne(base weights.Entry, p applied) (weights.Entry, error) {
	from, rows := 0, 1
	if len(base.Shape) > 0 {
		rows = base.Shape[0]
	}
	if p.Target.Rows > 0 {
		from, rows = p.Target.From, p.Target.Rows
	}
	part := region{base: base, from: from, rows: rows, swap: p.Target.SwapHalves}
	switch a := p.Adapter.(type) {
	case *Set:
		return part.replace(a.Value), nil
	case *Blend:
		return part.blend(a), nil
	case additive:
		if r, ok := a.(*LowRank); ok && r.Reshape != nil {
			var err error
			if part, err = part.pad(r.Reshape); err != nil {
				return weights.Entry{}, fmt.Errorf("applying %s to %s (file %s): %w", a.Form(), p.Target.Key, r.Up.File, err)
			}
		}
		return part.change(a, p.strength)
	case relative:
		return part.change(bound{a, p.strength, a.deltaOf(part, p.strength)}, a.factor(p.strength))
	}
	return weights.Entry{}, fmt.Errorf("applying %s to %s (file %s): %w", p.Adapter.Form(), p.Target.Key, p.Adapter.Entries()[0].File, ErrNotAvailable)
}

// change returns the weight with a change at a strength.
func (r region) change(a additive, strength float64) (weights.Entry, error) {
	if scale := a.dora(); scale != nil {
		return r.decompose(a, *scale, strength), nil
	}
	return r.add(a, float32(strength)), nil
}

// region is rows [from, from+rows) of a weight, the part that a patch changes.
type region struct {
	base       weights.Entry
	from, rows int
	swap       bool
}

// row returns the row of the change that belongs to a row of the weight; false when none does.
func (r region) row(i int) (int, bool) {
	i -= r.from
	if i < 0 || i >= r.rows {
		return 0, false
	}
	if r.swap {
		i = (i + r.rows/2) % r.rows
	}
	return i, true
}

// compute returns an entry of the weight's shape; change changes a piece of one row of it.
func (r region) compute(op string, parts []weights.Entry, change func(dst []float32, row, col int) error) weights.Entry {
	base := r.base
	cols := base.Count()
	if len(base.Shape) > 0 {
		cols = tensor.Count(base.Shape[1:])
	}
	return weights.Compute(base.Name, base.Shape, weights.Computation{
		Op:    fmt.Sprintf("%s rows %d+%d swap %t", op, r.from, r.rows, r.swap),
		Parts: append([]weights.Entry{base}, parts...),
		Read: func(dst []float32, at int) error {
			if err := weights.Range(dst, base, at); err != nil {
				return err
			}
			for len(dst) > 0 {
				row, col := at/cols, at%cols
				n := min(cols-col, len(dst))
				if i, ok := r.row(row); ok {
					if err := change(dst[:n], i, col); err != nil {
						return err
					}
				}
				dst, at = dst[n:], at+n
			}
			return nil
		},
	})
}

// op names a change with all of its parameters but the tensors.
func op(what string, a additive, strength float64) string {
	if b, ok := a.(bound); ok {
		what = fmt.Sprintf("%s of the weight %T at %g", what, b.relative, b.strength)
	}
	return fmt.Sprintf("%s %s %g scale %g %T", what, a.Form(), strength, a.scale(), a)
}

func (r region) add(a additive, factor float32) weights.Entry {
	add := a.delta()
	return r.compute(op("add", a, float64(factor)), a.Entries(), func(dst []float32, row, col int) error { return add(dst, row, col, factor) })
}

func (r region) replace(value weights.Entry) weights.Entry {
	cols := value.Count() / max(r.rows, 1)
	return r.compute("set", []weights.Entry{value}, func(dst []float32, row, col int) error {
		return weights.Range(dst, value, row*cols+col)
	})
}

// Toward changes a weight by the difference of two tensors of its shape: what another model's weight is more than the
// model's own. Upstream: the patch type model_as_lora.
type Toward struct{ Other, Own weights.Entry }

// Form implements Adapter.
func (*Toward) Form() string { return "difference of models" }

// Entries implements Adapter.
func (a *Toward) Entries() []weights.Entry { return []weights.Entry{a.Other, a.Own} }

// Check implements Adapter.
func (a *Toward) Check(shape []int) error {
	if !equal(a.Other.Shape, shape) || !equal(a.Own.Shape, shape) {
		return misfit(a, shape)
	}
	return nil
}

func (a *Toward) scale() float64 { return 1 }

func (a *Toward) dora() *weights.Entry { return nil }

func (a *Toward) delta() adder {
	other, own := (&Diff{a.Other}).delta(), (&Diff{a.Own}).delta()
	return func(dst []float32, row, col int, factor float32) error {
		change := make([]float32, len(dst))
		if err := other(change, row, col, 1); err != nil {
			return err
		}
		if err := own(change, row, col, -1); err != nil {
			return err
		}
		vec.AddScaled(dst, change, factor)
		return nil
	}
}

func (a *Diff) scale() float64 { return 1 }

func (a *Diff) dora() *weights.Entry { return nil }

func (a *Diff) delta() adder {
	rows := 1
	if len(a.Delta.Shape) > 0 {
		rows = a.Delta.Shape[0]
	}
	cols := a.Delta.Count() / rows
	return func(dst []float32, row, col int, factor float32) error {
		buf := make([]float32, len(dst))
		if err := weights.Range(buf, a.Delta, row*cols+col); err != nil {
			return err
		}
		vec.AddScaled(dst, buf, factor)
		return nil
	}
}
