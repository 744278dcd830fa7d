package patch

import (
	"fmt"
	"math"
	"sync"

	"comfygo/engine/tensor"
	"comfygo/engine/vec"
	"comfygo/engine/weights"
)

// product is a matrix left·right that is computed row by row.
type product struct {
	rank, cols int
	// left returns a row of the first factor, [rank].
	left func(row int) ([]float32, error)
	// right returns the second factor, [rank,cols].
	right func() ([]float32, error)
}

// add adds factor times elements [row, col:col+len(dst)] to dst. The product is summed by itself, in float32 as upstream
// does it, before it is scaled.
func (p product) add(dst []float32, row, col int, factor float32) error {
	right, err := p.right()
	if err != nil {
		return err
	}
	left, err := p.left(row)
	if err != nil {
		return err
	}
	sum := make([]float32, len(dst))
	for k, u := range left {
		vec.AddScaled(sum, right[k*p.cols+col:][:len(dst)], u)
	}
	vec.AddScaled(dst, sum, factor)
	return nil
}

// plainProduct is a·b for a [rows,rank] and b [rank,…], or, with a core in between, a·core·b; see tuckerCore.
func plainProduct(a, b weights.Entry, core *weights.Entry) product {
	rank := a.Count() / a.Shape[0]
	p := product{rank: rank, cols: b.Count() / b.Shape[0]}
	if core != nil {
		p.cols *= tensor.Count(core.Shape[2:])
	}
	p.left = func(row int) ([]float32, error) {
		v := make([]float32, rank)
		return v, weights.Range(v, a, row*rank)
	}
	p.right = sync.OnceValues(func() ([]float32, error) { return tuckerCore(core, b) })
	return p
}

// tuckerProduct is aᵀ·core·b for a [rank,rows] and b [rank,in].
func tuckerProduct(a, b, core weights.Entry) product {
	p := plainProduct(a, b, &core)
	rank := a.Shape[0]
	rows := a.Count() / rank
	whole := sync.OnceValues(func() ([]float32, error) { return weights.Float32s(a) })
	p.rank = rank
	p.left = func(row int) ([]float32, error) {
		all, err := whole()
		if err != nil {
			return nil, err
		}
		v := make([]float32, rank)
		for k := range v {
			v[k] = all[k*rows+row]
		}
		return v, nil
	}
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
	return func(dst []float32, row, col int, factor float32) error { return p.add(dst, row, col, factor*scale) }
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
	return func(dst []float32, row, col int, factor float32) error {
		x, y := make([]float32, len(dst)), make([]float32, len(dst))
		if err := first.add(x, row, col, 1); err != nil {
			return err
		}
		if err := second.add(y, row, col, 1); err != nil {
			return err
		}
		for i := range dst {
			dst[i] += factor * scale * x[i] * y[i]
		}
		return nil
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
	for r := range rows {
		if err := p.add(out.data[r*p.cols:][:p.cols], r, 0, 1); err != nil {
			return block{}, err
		}
	}
	return out, nil
}

func (a *LoKr) delta() adder {
	blocks, scale := sync.OnceValues(a.blocks), float32(a.scale())
	return func(dst []float32, row, col int, factor float32) error {
		b, err := blocks()
		if err != nil {
			return err
		}
		first, second := b[0], b[1]
		left := first.data[row/second.rows*first.cols:][:first.cols]
		right := second.data[row%second.rows*second.cols:][:second.cols]
		for i := range dst {
			c := col + i
			dst[i] += factor * scale * left[c/second.cols] * right[c%second.cols]
		}
		return nil
	}
}

// decompose returns the weight with a change by DoRA: the direction is that of the changed weight, the magnitudes are
// learned, for each row or for each input channel. The norms are those of the weight on the output axis and of the changed
// weight on the input axis. (Upstream: weight_adapter/base.py weight_decompose.)
func (r region) decompose(a additive, magnitudes weights.Entry, strength float64) weights.Entry {
	base := r.base
	cols, taps := tensor.Count(base.Shape[1:]), tensor.Count(base.Shape[2:])
	n, byRow := magnitudes.Count(), byRows(magnitudes, []int{r.rows})
	delta, half := a.delta(), 0
	if r.swap { // only the change's rows trade places
		half = r.rows / 2
	}
	what := fmt.Sprintf("dora swap %t", r.swap)
	r.swap = false
	add := func(dst []float32, row, col int, factor float32) error {
		return delta(dst, (row+half)%r.rows, col, factor)
	}
	const eps = 0x1p-23 // of float32
	learned := sync.OnceValues(func() ([]float32, error) { return weights.Float32s(magnitudes) })
	// inputs returns the norm of each input channel of the changed weight.
	inputs := sync.OnceValues(func() ([]float32, error) {
		sums, buf := make([]float64, n), make([]float32, cols)
		for row := range r.rows {
			if err := weights.Range(buf, base, (r.from+row)*cols); err != nil {
				return nil, err
			}
			if err := add(buf, row, 0, 1); err != nil {
				return nil, err
			}
			for i, v := range buf {
				sums[i/taps] += float64(v) * float64(v)
			}
		}
		return roots(sums), nil
	})
	return r.compute(op(what, a, strength), a.Entries(), func(dst []float32, row, col int) error {
		m, err := learned()
		if err != nil {
			return err
		}
		var norms []float32
		if byRow {
			whole := make([]float32, cols)
			if err := weights.Range(whole, base, (r.from+row)*cols); err != nil {
				return err
			}
			norms = roots([]float64{squares(whole)})
		} else if norms, err = inputs(); err != nil {
			return err
		}
		changed := append([]float32(nil), dst...)
		if err := add(changed, row, col, 1); err != nil {
			return err
		}
		for i, w := range dst {
			magnitude, norm := row, 0 // their places
			if !byRow {
				magnitude = (col + i) / taps
				norm = magnitude
			}
			dst[i] = w + float32(strength)*(changed[i]*(m[magnitude]/(norms[norm]+eps))-w)
		}
		return nil
	})
}

func squares(v []float32) float64 {
	var s float64
	for _, x := range v {
		s += float64(x) * float64(x)
	}
	return s
}

func roots(sums []float64) []float32 {
	out := make([]float32, len(sums))
	for i, s := range sums {
		out[i] = float32(math.Sqrt(s))
	}
	return out
}
