package patch

import (
	"sync"

	"comfygo/engine/tensor"
	"comfygo/engine/vec"
	"comfygo/engine/weights"
)

// GLoRA changes a weight W by a product with it and one beside it. Files hold the factors in two orders: W·A1·A2 + B1·B2,
// or W·A2·A1 + B2·B1 (upstream: weight_adapter/glora.py).
type GLoRA struct {
	A1, A2, B1, B2 weights.Entry
	DoraScale      *weights.Entry
	Alpha          *float64
}

// Form implements Adapter.
func (*GLoRA) Form() string { return "GLoRA" }

// Entries implements Adapter.
func (a *GLoRA) Entries() []weights.Entry {
	return append(present(a.DoraScale), a.A1, a.A2, a.B1, a.B2)
}

// factors returns the factors as W·a1·a2 + b1·b2 for a weight of a shape, and their rank; false when they do not fit.
func (a *GLoRA) factors(shape []int) (a1, a2, b1, b2 weights.Entry, rank int, ok bool) {
	for _, e := range []weights.Entry{a.A1, a.A2, a.B1, a.B2} {
		if len(e.Shape) < 2 || e.Count() == 0 {
			return a1, a2, b1, b2, 0, false
		}
	}
	rows := func(e weights.Entry) int { return e.Shape[0] }
	cols := func(e weights.Entry) int { return e.Count() / e.Shape[0] }
	same := func(n ...int) bool {
		for _, v := range n {
			if v != n[0] {
				return false
			}
		}
		return true
	}
	exchanged := same(a.B2.Shape[1], rows(a.B1), rows(a.A1), a.A2.Shape[1])
	if same(rows(a.B2), a.B1.Shape[1], a.A1.Shape[1], rows(a.A2)) &&
		(!exchanged || len(shape) < 2 || rows(a.A2) != shape[0] || shape[0] != shape[1]) {
		return a.A1, a.A2, a.B1, a.B2, rows(a.A2), cols(a.A1) == rows(a.A2) && cols(a.B1) == rows(a.B2)
	}
	return a.A2, a.A1, a.B2, a.B1, rows(a.A1), exchanged && cols(a.A2) == rows(a.A1) && cols(a.B2) == rows(a.B1)
}

// taps is the number of kernel elements that the product with the weight leaves apart: all of them where the factors are
// over channels, none where they are over whole rows.
func taps(a1 weights.Entry, shape []int) int {
	if a1.Shape[0] == shape[1] {
		return tensor.Count(shape[2:])
	}
	return 1
}

// Check implements Adapter.
func (a *GLoRA) Check(shape []int) error {
	if len(shape) < 2 {
		return misfit(a, shape)
	}
	a1, a2, b1, b2, _, ok := a.factors(shape)
	if !ok {
		return misfit(a, shape)
	}
	n := columns(shape)
	if in := n / taps(a1, shape); a1.Shape[0] != in || a2.Count()/a2.Shape[0] != in || b1.Shape[0] != shape[0] || b2.Count()/b2.Shape[0] != n {
		return misfit(a, shape)
	}
	return checkDora(a, a.DoraScale, shape)
}

func (a *GLoRA) scale() float64 {
	_, _, _, _, rank, _ := a.factors(nil)
	return overRank(a.Alpha, max(rank, 1))
}

func (a *GLoRA) factor(strength float64) float64 { return strength }

func (a *GLoRA) dora() *weights.Entry { return a.DoraScale }

// gloraRows is how many rows of a change are computed at a time: they stay in the CPU's cache.
const gloraRows = 32

func (a *GLoRA) deltaOf(shape []int, _ float64) func(out, w []float32) error {
	rows, cols := a.rowsOf(shape), columns(shape)
	return func(out, w []float32) error {
		for row := 0; row*cols < len(out); row += gloraRows {
			part := out[row*cols : min((row+gloraRows)*cols, len(out))]
			if err := rows(part, w[row*cols:][:len(part)], row); err != nil {
				return err
			}
		}
		return nil
	}
}

// rowsOf implements rowwise.
func (a *GLoRA) rowsOf(shape []int) func(out, w []float32, row int) error {
	a1, a2, b1, b2, rank, _ := a.factors(shape)
	cols, apart := columns(shape), taps(a1, shape)
	beside, scale := plainProduct(b1, b2, nil), float32(overRank(a.Alpha, rank))
	with := sync.OnceValues(func() (through, error) {
		left, err := weights.Float32s(a1)
		if err != nil {
			return through{}, err
		}
		right, err := weights.Float32s(a2)
		return newThrough(left, right, rank, cols/apart), err
	})
	return func(out, w []float32, row int) error {
		t, err := with()
		if err != nil {
			return err
		}
		t.set(out, w, apart)
		if err := beside.add(out, row, 1); err != nil {
			return err
		}
		vec.Scale(out, out, scale)
		return nil
	}
}

// through multiplies rows by left·right, factors of a low rank. The columns of left are padded with zeros to whole vectors.
type through struct {
	left, right      []float32 // [in,padded], [rank,in]
	rank, padded, in int
}

func newThrough(left, right []float32, rank, in int) through {
	const whole = 16
	t := through{rank: rank, padded: (rank + whole - 1) / whole * whole, in: in, right: right}
	t.left = make([]float32, in*t.padded)
	for i := range in {
		copy(t.left[i*t.padded:], left[i*rank:][:rank])
	}
	return t
}

// product sets y to w·left·right for the n rows of w; mid has room for n rows of left.
func (t through) product(y, w, mid []float32, n int) {
	vec.Product(mid, w, t.left, t.padded, t.in)
	if t.rank < t.padded {
		for i := range n {
			copy(mid[i*t.rank:], mid[i*t.padded:][:t.rank])
		}
	}
	vec.Product(y, mid[:n*t.rank], t.right, t.in, t.rank)
}

// set sets y to w·left·right for rows w [in,taps] of a weight, each tap by itself.
func (t through) set(y, w []float32, taps int) {
	n := len(w) / (t.in * taps)
	mid := borrow(n * t.padded)
	defer spare.Put(mid)
	if taps == 1 {
		t.product(y, w, *mid, n)
		return
	}
	buf := borrow(n * t.in)
	defer spare.Put(buf)
	line := *buf
	for tap := range taps {
		for i := range line {
			line[i] = w[i*taps+tap]
		}
		t.product(line, line, *mid, n)
		for i, v := range line {
			y[i*taps+tap] = v
		}
	}
}
