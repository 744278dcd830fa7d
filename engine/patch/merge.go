package patch

import (
	"fmt"
	"strings"
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
	place    int // of its file in the stack
}

// additive is implemented by adapters whose change does not depend on the weight.
type additive interface {
	Adapter
	// delta returns the change, scaled.
	delta() adder
	// scale is the factor of the factors' product.
	scale() float64
	// dora returns the magnitudes of the changed weight, or nil if the change is only added.
	dora() *weights.Entry
}

// relative is implemented by adapters whose change is computed from the weight.
type relative interface {
	Adapter
	// deltaOf returns the change of a weight, or of rows of one, of a shape at a strength: a function that sets out to it, w being the
	// weight, both as matrices.
	deltaOf(shape []int, strength float64) func(out, w []float32) error
	// factor is the factor of the change when it is added.
	factor(strength float64) float64
	scale() float64
	dora() *weights.Entry
}

// rowwise is implemented by relative adapters whose change of a row depends on that row of the weight alone.
type rowwise interface {
	// rowsOf returns deltaOf's function for rows of a weight of a shape, the first of which is row.
	rowsOf(shape []int) func(out, w []float32, row int) error
}

// adder adds factor times rows of a change, a matrix of the weight's rows, to dst: the rows of dst, starting at row.
type adder func(dst []float32, row int, factor float32) error

// step changes a whole weight in place.
type step func(w []float32) error

// merge returns the weight base with patches applied to it in order, computed in float32 when it is read. Its error wraps
// ErrNotAvailable for a method that cannot be computed.
func merge(base weights.Entry, patches []applied) (weights.Entry, error) {
	m := merged{base: base}
	for _, p := range patches {
		if err := m.apply(p); err != nil {
			return weights.Entry{}, err
		}
	}
	return m.entry(), nil
}

// merged is a weight with the steps that change it.
type merged struct {
	base  weights.Entry
	steps []step
	ops   []string // name the steps with all of their parameters but the tensors
	parts []weights.Entry
}

// entry returns the changed weight. It is computed as a whole: steps need whole rows or columns, and one pass over a weight for each of
// them costs less than one over each of its rows.
func (m *merged) entry() weights.Entry {
	if len(m.steps) == 0 {
		return m.base
	}
	base, steps := m.base, m.steps
	fill := func(w []float32) error {
		if err := weights.Range(w, base, 0); err != nil {
			return err
		}
		for _, change := range steps {
			if err := change(w); err != nil {
				return err
			}
		}
		return nil
	}
	count := base.Count()
	values := &passing{compute: func() ([]float32, error) {
		w := make([]float32, count)
		return w, fill(w)
	}}
	return weights.Compute(base.Name, base.Shape, weights.Computation{
		Op: strings.Join(m.ops, "; "), Parts: append([]weights.Entry{base}, m.parts...),
		Read: func(dst []float32, from int) error {
			if len(dst) == count {
				return fill(dst)
			}
			return values.read(dst, from)
		},
	})
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

// spare are vectors that steps work in.
var spare sync.Pool

// borrow returns a vector of n values of any kind, which goes back with spare.Put.
func borrow(n int) *[]float32 {
	if v, ok := spare.Get().(*[]float32); ok && cap(*v) >= n {
		*v = (*v)[:n]
		return v
	}
	v := make([]float32, n)
	return &v
}

// apply adds the steps of a patch.
func (m *merged) apply(p applied) error {
	if r, ok := p.Adapter.(*LowRank); ok && r.Reshape != nil {
		e, err := padded(m.entry(), r.Reshape)
		if err != nil {
			return fmt.Errorf("applying %s to %s (file %s): %w", r.Form(), p.Target.Key, r.Up.File, err)
		}
		*m = merged{base: e}
	}
	r := region{rows: 1, cols: columns(m.base.Shape), swap: p.Target.SwapHalves, shape: m.base.Shape}
	if len(m.base.Shape) > 0 {
		r.rows = m.base.Shape[0]
	}
	if p.Target.Rows > 0 {
		r.from, r.rows = p.Target.From, p.Target.Rows
		r.shape = append([]int{r.rows}, m.base.Shape[1:]...)
	}
	var s step
	what, strength := "set", p.strength
	switch a := p.Adapter.(type) {
	case *Set:
		s = r.replace(a.Value)
	case *Blend:
		what, s = a.Form(), r.blend(a)
	case additive:
		what, s = "add", r.change(a.delta(), a.dora(), p.strength)
		if a.dora() == nil {
			strength = float64(float32(strength))
		}
		what = fmt.Sprintf("%s %s %g scale %g", what, a.Form(), strength, a.scale())
	case relative:
		what = fmt.Sprintf("%s at %g scale %g", a.Form(), strength, a.scale())
		s = r.relative(a, p.strength)
	default:
		return fmt.Errorf("applying %s to %s (file %s): %w", p.Adapter.Form(), p.Target.Key, p.Adapter.Entries()[0].File, ErrNotAvailable)
	}
	m.steps = append(m.steps, s)
	m.ops = append(m.ops, fmt.Sprintf("%s %T of %d rows %d+%d swap %t", what, p.Adapter, len(p.Adapter.Entries()), r.from, r.rows, r.swap))
	m.parts = append(m.parts, p.Adapter.Entries()...)
	return nil
}

// region is rows [from, from+rows) of a weight, the part that a patch changes.
type region struct {
	from, rows, cols int
	shape            []int // of the part
	// swap reports that the halves of the change's rows trade places.
	swap bool
}

// of returns the part of the weight's elements.
func (r region) of(w []float32) []float32 { return w[r.from*r.cols : (r.from+r.rows)*r.cols] }

// spread calls add for the rows of a part, with the row of the change that the first of them belongs to.
func (r region) spread(part []float32, add func(dst []float32, row int) error) error {
	if !r.swap {
		return add(part, 0)
	}
	half := r.rows / 2
	split := (r.rows - half) * r.cols
	if err := add(part[:split], half); err != nil {
		return err
	}
	return add(part[split:], 0)
}

// change returns the step that adds a change at a strength, or that makes it by DoRA.
func (r region) change(add adder, magnitudes *weights.Entry, strength float64) step {
	if magnitudes != nil {
		return r.decompose(add, *magnitudes, strength)
	}
	return func(w []float32) error {
		return r.spread(r.of(w), func(dst []float32, row int) error { return add(dst, row, float32(strength)) })
	}
}

// relative returns the step of a change that is computed from the weight.
func (r region) relative(a relative, strength float64) step {
	if byRow, ok := a.(rowwise); ok && a.dora() == nil && !r.swap {
		return r.relativeRows(byRow, float32(a.factor(strength)))
	}
	delta := a.deltaOf(r.shape, strength)
	return func(w []float32) error {
		out := borrow(r.rows * r.cols)
		defer spare.Put(out)
		if err := delta(*out, r.of(w)); err != nil {
			return err
		}
		add := func(dst []float32, row int, factor float32) error {
			vec.AddScaled(dst, (*out)[row*r.cols:][:len(dst)], factor)
			return nil
		}
		return r.change(add, a.dora(), a.factor(strength))(w)
	}
}

// relativeRows is relative for some rows at a time, which stay in the CPU's cache.
func (r region) relativeRows(a rowwise, factor float32) step {
	delta := a.rowsOf(r.shape)
	return func(w []float32) error {
		buf := borrow(gloraRows * r.cols)
		defer spare.Put(buf)
		part := r.of(w)
		for row := 0; row < r.rows; row += gloraRows {
			w := part[row*r.cols : min(row+gloraRows, r.rows)*r.cols]
			out := (*buf)[:len(w)]
			if err := delta(out, w, row); err != nil {
				return err
			}
			vec.AddScaled(w, out, factor)
		}
		return nil
	}
}

func (r region) replace(value weights.Entry) step {
	return func(w []float32) error {
		return r.spread(r.of(w), func(dst []float32, row int) error { return weights.Range(dst, value, row*r.cols) })
	}
}

// pieces calls f with consecutive pieces of n elements and a buffer of the same length, which stay in the CPU's cache.
func pieces(n int, f func(at int, buf []float32) error) error {
	const most = 1 << 13
	buf := borrow(most)
	defer spare.Put(buf)
	for at := 0; at < n; at += most {
		if err := f(at, (*buf)[:min(most, n-at)]); err != nil {
			return err
		}
	}
	return nil
}

// addEntry adds f times the elements of e from index from on to dst.
func addEntry(dst []float32, e weights.Entry, from int, f float32) error {
	return pieces(len(dst), func(at int, buf []float32) error {
		if err := weights.Range(buf, e, from+at); err != nil {
			return err
		}
		vec.AddScaled(dst[at:at+len(buf)], buf, f)
		return nil
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
	cols := columns(a.Other.Shape)
	return func(dst []float32, row int, factor float32) error {
		return pieces(len(dst), func(at int, buf []float32) error {
			if err := weights.Range(buf, a.Other, row*cols+at); err != nil {
				return err
			}
			if err := addEntry(buf, a.Own, row*cols+at, -1); err != nil {
				return err
			}
			vec.AddScaled(dst[at:at+len(buf)], buf, factor)
			return nil
		})
	}
}

func (a *Diff) scale() float64 { return 1 }

func (a *Diff) dora() *weights.Entry { return nil }

func (a *Diff) delta() adder {
	cols := columns(a.Delta.Shape)
	return func(dst []float32, row int, factor float32) error { return addEntry(dst, a.Delta, row*cols, factor) }
}

// columns is the number of elements in a row of a weight.
func columns(shape []int) int {
	if len(shape) == 0 {
		return 1
	}
	return tensor.Count(shape[1:])
}
