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
	// Output says that the layer's output is rotated, as by upstream's bypass loaders: the strength counts once, not twice,
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
// weight as it was. Its bypass loaders take an alpha of zero.
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

// factor follows upstream, which counts the strength in the rotation and again in what is added.
func (a *OFT) factor(strength float64) float64 {
	if a.Output {
		return 1
	}
	return strength
}

func (a *OFT) dora() *weights.Entry { return a.DoraScale }

func (a *OFT) deltaOf(r region, strength float64) adder {
	turn := &rotated{adapter: a, region: r, strength: strength, cols: columns(r.base.Shape)}
	values := &passing{compute: turn.compute}
	// DoRA multiplies the change by alpha, as if it were that of LoRA.
	scale := float32(1)
	if a.DoraScale != nil {
		scale = float32(a.scale())
	}
	return func(dst []float32, row, col int, factor float32) error {
		change := make([]float32, len(dst))
		if err := values.read(change, row*turn.cols+col); err != nil {
			return err
		}
		vec.AddScaled(dst, change, factor*scale)
		return nil
	}
}

// rotated computes what a rotation changes of a weight, all rows at once: the stages of BOFT mix them.
type rotated struct {
	adapter  *OFT
	region   region
	strength float64
	cols     int
}

func (t *rotated) compute() ([]float32, error) {
	a, rows := t.adapter, t.region.rows
	turns, err := a.rotations()
	if err != nil {
		return nil, err
	}
	base := make([]float32, rows*t.cols)
	if err := weights.Range(base, t.region.base, t.region.from*t.cols); err != nil {
		return nil, err
	}
	y := append([]float32(nil), base...)
	size := a.Blocks.Shape[len(a.Blocks.Shape)-1]
	for stage := range len(turns) / (rows * size) {
		y = t.turn(y, turns[stage*rows*size:][:rows*size], stage)
	}
	if e := a.Rescale; e != nil && (a.butterfly() || a.Output) {
		factors, err := weights.Float32s(*e)
		if err != nil {
			return nil, err
		}
		for i := range y {
			y[i] *= factors[i/t.cols%len(factors)]
		}
	}
	vec.AddScaled(y, base, -1)
	return y, nil
}

// turn applies one stage of rotations to rows [rows,cols]: blocks of rows, of BOFT's stages in the order of a butterfly.
func (t *rotated) turn(x, turns []float32, stage int) []float32 {
	shape := t.adapter.Blocks.Shape
	size := shape[len(shape)-1]
	place := func(i int) int { return i }
	if t.adapter.butterfly() {
		k := size / 2 << stage
		place = func(i int) int { return i/(2*k)*(2*k) + i%2*k + i%(2*k)/2 }
	}
	y := make([]float32, len(x))
	s := float32(t.strength)
	for i := range t.region.rows {
		block, m := i/size, i%size
		to := y[place(i)*t.cols:][:t.cols]
		for n := range size {
			r := turns[(block*size+n)*size+m]
			if t.adapter.butterfly() { // its matrices are applied from the left
				r = turns[(block*size+m)*size+n]
			}
			r *= s
			if n == m {
				r += 1 - s
			}
			vec.AddScaled(to, x[place(block*size+n)*t.cols:][:t.cols], r)
		}
	}
	return y
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
