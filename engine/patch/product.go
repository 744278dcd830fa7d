package patch

import (
	"math"
	"sync"

	"comfygo/engine/tensor"
	"comfygo/engine/vec"
	"comfygo/engine/weights"
)

// product is a matrix left·right, [rows,rank]·[rank,cols].
type product struct {
	rank, cols int
	factors    func() (factors, error)
}

type factors struct{ left, right []float32 }

// band is how many rows of a product are computed at a time: they stay in the CPU's cache.
const band = 4

// each computes the n rows of the product from row on, some at a time; f gets their place among the n rows.
func (p product) each(row, n int, f func(at int, rows []float32)) error {
	both, err := p.factors()
	if err != nil {
		return err
	}
	buf := borrow(band * p.cols)
	defer spare.Put(buf)
	for at := 0; at < n; at += band {
		rows := (*buf)[:min(band, n-at)*p.cols]
		vec.Product(rows, both.left[(row+at)*p.rank:], both.right, p.cols, p.rank)
		f(at, rows)
	}
	return nil
}

// add adds factor times the rows of the product from row on to dst. The product is summed by itself, in float32 as upstream
// does it, before it is scaled.
func (p product) add(dst []float32, row int, factor float32) error {
	return p.each(row, len(dst)/p.cols, func(at int, rows []float32) {
		vec.AddScaled(dst[at*p.cols:][:len(rows)], rows, factor)
	})
}

// plainProduct is a·b for a [rows,rank] and b [rank,…], or, with a core in between, a·core·b; see tuckerCore.
func plainProduct(a, b weights.Entry, core *weights.Entry) product {
	p := product{rank: a.Count() / a.Shape[0], cols: b.Count() / b.Shape[0]}
	if core != nil {
		p.cols *= tensor.Count(core.Shape[2:])
	}
	p.factors = sync.OnceValues(func() (factors, error) {
		left, err := weights.Float32s(a)
		if err != nil {
			return factors{}, err
		}
		right, err := tuckerCore(core, b)
		return factors{left, right}, err
	})
	return p
}

// tuckerProduct is aᵀ·core·b for a [rank,rows] and b [rank,in].
func tuckerProduct(a, b, core weights.Entry) product {
	rank := a.Shape[0]
	rows := a.Count() / rank
	p := plainProduct(a, b, &core)
	plain := p.factors
	p.rank = rank
	p.factors = sync.OnceValues(func() (factors, error) {
		f, err := plain()
		if err != nil {
			return f, err
		}
		turned := make([]float32, len(f.left))
		for k := range rank {
			for row := range rows {
				turned[row*rank+k] = f.left[k*rows+row]
			}
		}
		return factors{turned, f.right}, nil
	})
	return p
}

// tuckerCore returns the matrix [i,in·k·k] of core [i,j,k,k] and b [j,in], summed over j; without a core it is b.
func tuckerCore(core *weights.Entry, b weights.Entry) ([]float32, error) {
	right, err := weights.Float32s(b)
	if err != nil || core == nil {
		return right, err
	}
	kernels, err := weights.Float32s(*core)
	if err != nil {
		return nil, err
	}
	outer, inner, taps := core.Shape[0], core.Shape[1], tensor.Count(core.Shape[2:])
	in := len(right) / inner
	out := make([]float32, outer*in*taps)
	for o := range outer {
		for j := range inner {
			kernel := kernels[(o*inner+j)*taps:][:taps]
			for i, v := range right[j*in:][:in] {
				vec.AddScaled(out[(o*in+i)*taps:][:taps], kernel, v)
			}
		}
	}
	return out, nil
}

// overRank is alpha/rank, or 1 without an alpha.
func overRank(alpha *float64, rank int) float64 {
	if alpha == nil {
		return 1
	}
	return *alpha / float64(rank)
}

func (a *LowRank) scale() float64 { return a.Scale() }

func (a *LowRank) dora() *weights.Entry { return a.DoraScale }

func (a *LowRank) delta() adder {
	p, scale := plainProduct(a.Up, a.Down, a.Mid), float32(a.Scale())
	return func(dst []float32, row int, factor float32) error { return p.add(dst, row, factor*scale) }
}

// products returns the two matrices whose element-wise product is the change.
func (a *LoHa) products() (first, second product) {
	if a.T1 != nil {
		return tuckerProduct(a.W1A, a.W1B, *a.T1), tuckerProduct(a.W2A, a.W2B, *a.T2)
	}
	return plainProduct(a.W1A, a.W1B, nil), plainProduct(a.W2A, a.W2B, nil)
}

func (a *LoHa) scale() float64 { return overRank(a.Alpha, a.W1B.Shape[0]) }

func (a *LoHa) dora() *weights.Entry { return a.DoraScale }

func (a *LoHa) delta() adder {
	first, second := a.products()
	scale := float32(a.scale())
	return func(dst []float32, row int, factor float32) error {
		other, err := second.factors()
		if err != nil {
			return err
		}
		buf := borrow(band * second.cols)
		defer spare.Put(buf)
		return first.each(row, len(dst)/first.cols, func(at int, rows []float32) {
			y := (*buf)[:len(rows)]
			vec.Product(y, other.left[(row+at)*second.rank:], other.right, second.cols, second.rank)
			vec.AddBoth(dst[at*first.cols:][:len(rows)], rows, y, factor*scale)
		})
	}
}

// scale follows upstream: where both factors are products, the rank is that of the second.
func (a *LoKr) scale() float64 {
	switch {
	case a.W1 == nil && a.FirstRank:
		return overRank(a.Alpha, a.W1B.Shape[0])
	case a.W2 == nil:
		return overRank(a.Alpha, a.W2B.Shape[0])
	case a.W1 == nil:
		return overRank(a.Alpha, a.W1B.Shape[0])
	}
	return 1
}

func (a *LoKr) dora() *weights.Entry { return a.DoraScale }

// block is a factor of a Kronecker product as a matrix.
type block struct {
	rows, cols int
	data       []float32
}

// blocks returns the two factors of the Kronecker product.
func (a *LoKr) blocks() ([2]block, error) {
	first, err := blockOf(a.W1, a.W1A, a.W1B, nil)
	if err != nil {
		return [2]block{}, err
	}
	second, err := blockOf(a.W2, a.W2A, a.W2B, a.T2)
	return [2]block{first, second}, err
}

func blockOf(whole, a, b, core *weights.Entry) (block, error) {
	if whole != nil {
		data, err := weights.Float32s(*whole)
		return block{whole.Shape[0], whole.Count() / whole.Shape[0], data}, err
	}
	var p product
	rows := a.Shape[0]
	if core != nil {
		p, rows = tuckerProduct(*a, *b, *core), a.Count()/a.Shape[0]
	} else {
		p = plainProduct(*a, *b, nil)
	}
	out := block{rows, p.cols, make([]float32, rows*p.cols)}
	return out, p.add(out.data, 0, 1)
}

func (a *LoKr) delta() adder {
	blocks, scale := sync.OnceValues(a.blocks), float32(a.scale())
	return func(dst []float32, row int, factor float32) error {
		b, err := blocks()
		if err != nil {
			return err
		}
		first, second := b[0], b[1]
		n, cols := second.cols, first.cols*second.cols
		const short = 64
		if n >= short {
			for ; len(dst) > 0; row++ {
				right := second.data[row%second.rows*n:][:n]
				for _, v := range first.data[row/second.rows*first.cols:][:first.cols] {
					vec.AddScaled(dst[:n], right, factor*scale*v)
					dst = dst[n:]
				}
			}
			return nil
		}
		// The rows of the second factor are too short for vectors: both are laid out as long as a row of the product.
		buf := borrow(2 * cols)
		defer spare.Put(buf)
		left, right := (*buf)[:cols], (*buf)[cols:]
		for at := -1; len(dst) > 0; row++ {
			if at != row/second.rows {
				at = row / second.rows
				for i, v := range first.data[at*first.cols:][:first.cols] {
					for j := range n {
						left[i*n+j] = v
					}
				}
			}
			done := copy(right, second.data[row%second.rows*n:][:n])
			for done < cols {
				done += copy(right[done:], right[:done])
			}
			vec.AddBoth(dst[:cols], left, right, factor*scale)
			dst = dst[cols:]
		}
		return nil
	}
}

// decompose returns the step of a change by DoRA: the direction is that of the changed weight, the magnitudes are
// learned, for each row or for each input channel. The norms are those of the weight on the output axis and of the changed
// weight on the input axis. (Upstream: weight_adapter/base.py weight_decompose.)
func (r region) decompose(add adder, magnitudes weights.Entry, strength float64) step {
	byRow, s := byRows(magnitudes, r.shape), float32(strength)
	const eps = 0x1p-23 // of float32
	return func(w []float32) error {
		learned, err := weights.Float32s(magnitudes)
		if err != nil {
			return err
		}
		changed := r.of(w)
		before := borrow(len(changed))
		defer spare.Put(before)
		base := *before
		copy(base, changed)
		if err := r.spread(changed, func(dst []float32, row int) error { return add(dst, row, 1) }); err != nil {
			return err
		}
		var factors []float32 // of columns
		if !byRow {
			factors = inputFactors(learned, changed, r.cols, eps)
		}
		for row := range r.rows {
			old, now := base[row*r.cols:][:r.cols], changed[row*r.cols:][:r.cols]
			if byRow {
				factor := learned[row] / (float32(math.Sqrt(squares(old))) + eps)
				for i, v := range old {
					now[i] = v + s*(now[i]*factor-v)
				}
				continue
			}
			for i, v := range old {
				now[i] = v + s*(now[i]*factors[i]-v)
			}
		}
		return nil
	}
}

// inputFactors returns the column factors that give a matrix the learned magnitudes of its input channels.
func inputFactors(learned, x []float32, cols int, eps float32) []float32 {
	sums := make([]float64, cols)
	for ; len(x) > 0; x = x[cols:] {
		for i, v := range x[:cols] {
			sums[i] += float64(v) * float64(v)
		}
	}
	out, taps := make([]float32, cols), cols/len(learned)
	for c, magnitude := range learned {
		var sum float64
		for _, v := range sums[c*taps:][:taps] {
			sum += v
		}
		factor := magnitude / (float32(math.Sqrt(sum)) + eps)
		for i := range taps {
			out[c*taps+i] = factor
		}
	}
	return out
}

// squares is the sum of squares, in four parts: one addition waits for the one before.
func squares(v []float32) float64 {
	var a, b, c, d float64
	for ; len(v) >= 4; v = v[4:] {
		a += float64(v[0]) * float64(v[0])
		b += float64(v[1]) * float64(v[1])
		c += float64(v[2]) * float64(v[2])
		d += float64(v[3]) * float64(v[3])
	}
	for _, x := range v {
		a += float64(x) * float64(x)
	}
	return a + b + (c + d)
}
