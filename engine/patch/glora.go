package patch

import (
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

func (a *GLoRA) deltaOf(shape []int, _ float64) func(out, w []float32) error {
	a1, a2, b1, b2, rank, _ := a.factors(shape)
	cols, apart := columns(shape), taps(a1, shape)
	beside, scale := plainProduct(b1, b2, nil), float32(overRank(a.Alpha, rank))
	return func(out, w []float32) error {
		left, err := weights.Float32s(a1)
		if err != nil {
			return err
		}
		right, err := weights.Float32s(a2)
		if err != nil {
			return err
		}
		t := newThrough(left, right, rank, cols/apart)
		const rows = 32 // at a time, which stay in the cache
		for row := 0; row*cols < len(out); row += rows {
			part := out[row*cols : min((row+rows)*cols, len(out))]
			t.set(part, w[row*cols:][:len(part)], apart)
			if err := beside.add(part, row, 1); err != nil {
				return err
			}
			vec.Scale(part, part, scale)
		}
		return nil
	}
}

// through multiplies rows by left·right, factors of a low rank. The rank is filled up with zeros, so that vectors take it whole.
type through struct {
	left, right []float32 // [in,rank], [rank,in]
	rank, in    int
}

func newThrough(left, right []float32, rank, in int) through {
	const whole = 16
	t := through{rank: (rank + whole - 1) / whole * whole, in: in}
	t.left, t.right = make([]float32, in*t.rank), make([]float32, t.rank*in)
	for i := range in {
		copy(t.left[i*t.rank:], left[i*rank:][:rank])
	}
	copy(t.right, right[:rank*in])
	return t
}

// set sets y to w·left·right for rows w [in,taps] of a weight, each tap by itself.
func (t through) set(y, w []float32, taps int) {
	n := len(w) / (t.in * taps)
	mid := borrow(n * t.rank)
	defer spare.Put(mid)
	if taps == 1 {
		vec.Product(*mid, w, t.left, t.rank, t.in)
		vec.Product(y, *mid, t.right, t.in, t.rank)
		return
	}
	buf := borrow(n * t.in)
	defer spare.Put(buf)
	line := *buf
	for tap := range taps {
		for i := range line {
			line[i] = w[i*taps+tap]
		}
		vec.Product(*mid, line, t.left, t.rank, t.in)
		vec.Product(line, *mid, t.right, t.in, t.rank)
		for i, v := range line {
			y[i*taps+tap] = v
		}
	}
}
