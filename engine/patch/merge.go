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
}

// additive is implemented by adapters whose change does not depend on the weight.
type additive interface {
	Adapter
	// delta returns the change as a matrix of the weight's rows.
	delta() (matrix, error)
}

// matrix is a change of rows×cols elements that is computed where it is needed.
type matrix struct {
	rows, cols int
	// add adds factor times elements [row, col:col+len(dst)] to dst.
	add func(dst []float32, row, col int, factor float32) error
}

// merge returns the weight base with patches applied to it in order, computed in float32 while it is read. Its error wraps
// ErrNotAvailable for a method that cannot be computed.
func merge(base weights.Entry, patches []applied) (weights.Entry, error) {
	for _, p := range patches {
		var err error
		if base, err = mergeOne(base, p); err != nil {
			return weights.Entry{}, err
		}
	}
	return base, nil
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
	case additive:
		if r, ok := a.(*LowRank); ok && !r.plain() {
			break
		}
		m, err := a.delta()
		if err != nil {
			return weights.Entry{}, err
		}
		return part.add(a, m, float32(p.strength)), nil
	}
	return weights.Entry{}, fmt.Errorf("applying %s to %s (file %s): %w: what can be applied is LoRA, also with convolutions, and full differences",
		p.Adapter.Form(), p.Target.Key, p.Adapter.Entries()[0].File, ErrNotAvailable)
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

func (r region) add(a Adapter, m matrix, factor float32) weights.Entry {
	op := fmt.Sprintf("add %s %g", a.Form(), factor)
	if l, ok := a.(*LowRank); ok {
		op += fmt.Sprintf(" scale %g mid %t", l.Scale(), l.Mid != nil)
	}
	return r.compute(op, a.Entries(), func(dst []float32, row, col int) error { return m.add(dst, row, col, factor) })
}

func (r region) replace(value weights.Entry) weights.Entry {
	cols := value.Count() / max(r.rows, 1)
	return r.compute("set", []weights.Entry{value}, func(dst []float32, row, col int) error {
		return weights.Range(dst, value, row*cols+col)
	})
}

func (a *Diff) delta() (matrix, error) {
	rows := 1
	if len(a.Delta.Shape) > 0 {
		rows = a.Delta.Shape[0]
	}
	cols := a.Delta.Count() / rows
	return matrix{rows, cols, func(dst []float32, row, col int, factor float32) error {
		buf := make([]float32, len(dst))
		if err := weights.Range(buf, a.Delta, row*cols+col); err != nil {
			return err
		}
		vec.AddScaled(dst, buf, factor)
		return nil
	}}, nil
}

func (a *LowRank) delta() (matrix, error) {
	rank, rows := a.Rank(), a.Up.Shape[0]
	cols := a.Down.Count() / rank
	if a.Mid != nil {
		cols *= tensor.Count(a.Mid.Shape[2:])
	}
	down := sync.OnceValues(a.inner)
	scale := float32(a.Scale())
	return matrix{rows, cols, func(dst []float32, row, col int, factor float32) error {
		d, err := down()
		if err != nil {
			return err
		}
		up := make([]float32, rank)
		if err := weights.Range(up, a.Up, row*rank); err != nil {
			return err
		}
		// The product is summed by itself, in float32 as upstream does it, before it is scaled.
		sum := make([]float32, len(dst))
		for k, u := range up {
			vec.AddScaled(sum, d[k*cols+col:][:len(dst)], u)
		}
		vec.AddScaled(dst, sum, factor*scale)
		return nil
	}}, nil
}

// inner returns Down, or Mid·Down, as a matrix [rank,in·k·k].
func (a *LowRank) inner() ([]float32, error) {
	down, err := weights.Float32s(a.Down)
	if err != nil || a.Mid == nil {
		return down, err
	}
	mid, err := weights.Float32s(*a.Mid)
	if err != nil {
		return nil, err
	}
	rank := a.Rank()
	in, taps := len(down)/rank, len(mid)/rank/rank
	out := make([]float32, rank*in*taps)
	for o := range rank {
		for k := range rank {
			kernel := mid[(o*rank+k)*taps:][:taps]
			for i, v := range down[k*in:][:in] {
				vec.AddScaled(out[(o*in+i)*taps:][:taps], kernel, v)
			}
		}
	}
	return out, nil
}
