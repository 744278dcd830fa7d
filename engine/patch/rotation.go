package patch

import (
	"errors"
	"fmt"
	"math"

	"comfygo/engine/vec"
	"comfygo/engine/weights"
)

// OFT rotates blocks of a weight's rows by orthogonal matrices; with four axes Blocks are those of BOFT, which rotates in
// several stages (butterflies). Upstream: weight_adapter/oft.py, boft.py.
type OFT struct {
	Blocks             weights.Entry
	Rescale, DoraScale *weights.Entry
	// Alpha, when positive, bounds the norm of the skew-symmetric matrices that the rotations are made of.
	Alpha *float64
	// Output reports that the layer's output is rotated, as by upstream's bypass loaders: the strength counts once, not twice,
	// and OFT rescales.
	Output bool
}

// Form implements Adapter.
func (a *OFT) Form() string {
	form := "OFT"
	if a.butterfly() {
		form = "BOFT"
	}
	if a.Output {
		form += " of the output"
	}
	return form
}

func (a *OFT) butterfly() bool { return len(a.Blocks.Shape) == 4 }

// Entries implements Adapter.
func (a *OFT) Entries() []weights.Entry { return append(present(a.Rescale, a.DoraScale), a.Blocks) }

// Check implements Adapter.
func (a *OFT) Check(shape []int) error {
	b := a.Blocks.Shape
	n := len(b)
	if len(shape) < 1 || n < 3 || b[n-1] != b[n-2] || b[n-3]*b[n-1] != shape[0] {
		return misfit(a, shape)
	}
	if a.butterfly() {
		if size := b[n-1] / 2 << min(b[0], 40); b[n-1]%2 != 0 || size < 1 || shape[0]%size != 0 {
			return misfit(a, shape)
		}
	}
	if e := a.Rescale; e != nil && e.Count() != 1 && e.Count() != shape[0] {
		return misfit(a, shape)
	}
	return checkDora(a, a.DoraScale, shape)
}

// inert implements undone: ComfyUI 0.33.0 compares the alpha of BOFT with a number, which fails for a file without alpha, and leaves the
// weight unchanged. Its bypass loaders take an alpha of zero.
func (a *OFT) inert() string {
	if a.butterfly() && a.Alpha == nil && !a.Output {
		return "ComfyUI does not apply BOFT without an alpha"
	}
	return ""
}

func (a *OFT) scale() float64 {
	if a.Alpha == nil {
		return 0
	}
	return *a.Alpha
}

// factor follows upstream, which applies the strength to the rotation and again to the added part.
func (a *OFT) factor(strength float64) float64 {
	if a.Output {
		return 1
	}
	return strength
}

func (a *OFT) dora() *weights.Entry { return a.DoraScale }

func (a *OFT) deltaOf(shape []int, strength float64) func(out, w []float32) error {
	rows, cols := shape[0], columns(shape)
	return func(out, w []float32) error {
		turns, err := a.rotations()
		if err != nil {
			return err
		}
		size := a.Blocks.Shape[len(a.Blocks.Shape)-1]
		if !a.butterfly() && (a.Rescale == nil || !a.Output) {
			// One stage, whose change is applied at once.
			blended(turns, size, float32(strength), 0, true)
			a.turn(out, w, turns, cols, 0)
			a.byAlpha(out)
			return nil
		}
		blended(turns, size, float32(strength), 1, !a.butterfly())
		x := w
		for stage := range len(turns) / (rows * size) {
			a.turn(out, x, turns[stage*rows*size:][:rows*size], cols, stage)
			x = out
		}
		if e := a.Rescale; e != nil && (a.butterfly() || a.Output) {
			factors, err := weights.Float32s(*e)
			if err != nil {
				return err
			}
			for i := range rows {
				line := out[i*cols:][:cols]
				vec.Scale(line, line, factors[i%len(factors)])
			}
		}
		vec.AddScaled(out, w, -1)
		a.byAlpha(out)
		return nil
	}
}

// byAlpha multiplies the change of DoRA by alpha, as for LoRA.
func (a *OFT) byAlpha(out []float32) {
	if a.DoraScale != nil {
		vec.Scale(out, out, float32(a.scale()))
	}
}

// blended makes rotations s times themselves and keep-s times no rotation. transposed says that they are applied from the right:
// Product multiplies by their transposes from the left.
func blended(turns []float32, size int, s, keep float32, transposed bool) {
	for ; len(turns) > 0; turns = turns[size*size:] {
		for m := range size {
			for n := range size {
				if transposed && n < m {
					turns[m*size+n], turns[n*size+m] = turns[n*size+m], turns[m*size+n]
				}
			}
		}
		for m := range size {
			for n := range size {
				r := turns[m*size+n] * s
				if n == m {
					r += keep - s
				}
				turns[m*size+n] = r
			}
		}
	}
}

// turn sets out to x, rows of cols values, with one stage of rotations applied to it: blocks of rows, of BOFT's stages in the order of a
// butterfly. out may be x where there are several stages.
func (a *OFT) turn(out, x, turns []float32, cols, stage int) {
	size := a.Blocks.Shape[len(a.Blocks.Shape)-1]
	if !a.butterfly() {
		for row := 0; row < len(turns)/size; row += size {
			vec.Product(out[row*cols:][:size*cols], turns[row*size:], x[row*cols:], cols, size)
		}
		return
	}
	k := size / 2 << stage
	place := func(i int) int { return i/(2*k)*(2*k) + i%2*k + i%(2*k)/2 }
	// Columns are taken in pieces, so that a block of rows stays in the cache.
	const piece = 512
	buf := borrow(2 * size * min(cols, piece))
	defer spare.Put(buf)
	for block := range len(turns) / (size * size) {
		for from := 0; from < cols; from += piece {
			n := min(piece, cols-from)
			before, after := (*buf)[:size*n], (*buf)[size*n:][:size*n]
			for i := range size {
				copy(before[i*n:][:n], x[place(block*size+i)*cols+from:])
			}
			vec.Product(after, turns[block*size*size:], before, n, size)
			for i := range size {
				copy(out[place(block*size+i)*cols+from:][:n], after[i*n:])
			}
		}
	}
}

// rotations returns the orthogonal matrices (1+Q)(1-Q)⁻¹ of the blocks' skew-symmetric parts Q (Cayley's transform).
func (a *OFT) rotations() ([]float32, error) {
	blocks, err := weights.Float32s(a.Blocks)
	if err != nil {
		return nil, err
	}
	size := a.Blocks.Shape[len(a.Blocks.Shape)-1]
	area := size * size
	q := make([]float64, len(blocks))
	var sum float64
	for b := 0; b < len(q); b += area {
		for i := range size {
			for j := range size {
				d := float64(blocks[b+i*size+j] - blocks[b+j*size+i])
				q[b+i*size+j] = d
				sum += d * d
			}
		}
	}
	if limit, norm := a.scale(), math.Sqrt(sum)+1e-8; limit > 0 && norm > limit {
		for i := range q {
			q[i] *= limit / norm
		}
	}
	out := make([]float32, len(q))
	for b := 0; b < len(q); b += area {
		if err := cayley(out[b:b+area], q[b:b+area], size); err != nil {
			return nil, fmt.Errorf("%v of %s: block %d: %w", a.Blocks, a.Blocks.File, b/area, err)
		}
	}
	return out, nil
}

// cayley computes (1+q)(1-q)⁻¹. Both factors commute, so that it is the solution x of (1-q)x = 1+q, found by elimination
// with row pivots.
func cayley(dst []float32, q []float64, n int) error {
	left, right := make([]float64, n*n), make([]float64, n*n)
	for i := range n {
		for j := range n {
			left[i*n+j], right[i*n+j] = -q[i*n+j], q[i*n+j]
		}
		left[i*n+i]++
		right[i*n+i]++
	}
	for c := range n {
		pivot := c
		for r := c + 1; r < n; r++ {
			if math.Abs(left[r*n+c]) > math.Abs(left[pivot*n+c]) {
				pivot = r
			}
		}
		if p := left[pivot*n+c]; p == 0 || p-p != 0 {
			return errors.New("the matrix has no inverse")
		}
		for j := range n {
			left[c*n+j], left[pivot*n+j] = left[pivot*n+j], left[c*n+j]
			right[c*n+j], right[pivot*n+j] = right[pivot*n+j], right[c*n+j]
		}
		inverse := 1 / left[c*n+c]
		for r := range n {
			if r == c {
				continue
			}
			f := left[r*n+c] * inverse
			if f == 0 {
				continue
			}
			for j := c; j < n; j++ {
				left[r*n+j] -= f * left[c*n+j]
			}
			for j := range n {
				right[r*n+j] -= f * right[c*n+j]
			}
		}
	}
	for i := range n {
		for j := range n {
			dst[i*n+j] = float32(right[i*n+j] / left[i*n+i])
		}
	}
	return nil
}
