package patch_test

import (
	"math"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/patch"
	"comfygo/engine/weights"
)

// matrix computes a·b in float64, or Σ a[i,row]·core[i,j,…]·b[j,in] with a core, as [rows,in·taps].
func matrix(t *testing.T, a, b weights.Entry, core *weights.Entry) []float64 {
	t.Helper()
	if core == nil {
		return product(t, a, b, nil)
	}
	u, d, c := values(t, a), values(t, b), values(t, *core)
	ri, rj := core.Shape[0], core.Shape[1]
	rows, in, taps := len(u)/ri, len(d)/rj, len(c)/ri/rj
	y := make([]float64, rows*in*taps)
	for i := range ri {
		for j := range rj {
			for row := range rows {
				for col := range in {
					for k := range taps {
						y[(row*in+col)*taps+k] += float64(u[i*rows+row]) * float64(c[(i*rj+j)*taps+k]) * float64(d[j*in+col])
					}
				}
			}
		}
	}
	return y
}

// kron is the Kronecker product of [a,b] and [p,q].
func kron(x, y []float64, b, q int) []float64 {
	a, p := len(x)/b, len(y)/q
	out := make([]float64, a*p*b*q)
	for i := range a {
		for j := range b {
			for r := range p {
				for s := range q {
					out[(i*p+r)*b*q+j*q+s] = x[i*b+j] * y[r*q+s]
				}
			}
		}
	}
	return out
}

func wide(v []float32) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}

// TestHadamardAndKronecker compares LoHa and LoKr, whole and factored, with plain arithmetic.
func TestHadamardAndKronecker(t *testing.T) {
	t.Parallel()
	f32 := func(name string, shape ...int) weights.Entry { return random(t, "a."+name, dtype.F32, shape...) }
	alpha := stored(t, "a.alpha", dtype.F32, []float32{3})
	const out, in = 6, 4
	times := func(x, y []float64) []float64 {
		z := make([]float64, len(x))
		for i := range x {
			z[i] = x[i] * y[i]
		}
		return z
	}
	for name, c := range map[string]struct {
		weight []int
		file   []weights.Entry
		scale  float64
		delta  func(e []weights.Entry) []float64
	}{
		"LoHa": {
			[]int{out, in, 3, 3},
			[]weights.Entry{f32("hada_w1_a", out, 2), f32("hada_w1_b", 2, in*9), f32("hada_w2_a", out, 2), f32("hada_w2_b", 2, in*9), alpha},
			1.5,
			func(e []weights.Entry) []float64 {
				return times(matrix(t, e[0], e[1], nil), matrix(t, e[2], e[3], nil))
			},
		},
		"LoHa in Tucker form": {
			[]int{out, in, 3, 3},
			[]weights.Entry{f32("hada_w1_a", 2, out), f32("hada_w1_b", 2, in), f32("hada_w2_a", 2, out), f32("hada_w2_b", 2, in), f32("hada_t1", 2, 2, 3, 3), f32("hada_t2", 2, 2, 3, 3)},
			1,
			func(e []weights.Entry) []float64 {
				return times(matrix(t, e[0], e[1], &e[4]), matrix(t, e[2], e[3], &e[5]))
			},
		},
		"LoKr": {
			[]int{out, in, 3, 3},
			[]weights.Entry{f32("lokr_w1", 2, 2), f32("lokr_w2", 3, 2, 3, 3), alpha},
			1,
			func(e []weights.Entry) []float64 { return kron(wide(values(t, e[0])), wide(values(t, e[1])), 2, 18) },
		},
		"LoKr of two products": {
			[]int{out, in},
			[]weights.Entry{f32("lokr_w1_a", 2, 1), f32("lokr_w1_b", 1, 2), f32("lokr_w2_a", 3, 2), f32("lokr_w2_b", 2, 2), alpha},
			1.5, // by the rank of the second
			func(e []weights.Entry) []float64 {
				return kron(matrix(t, e[0], e[1], nil), matrix(t, e[2], e[3], nil), 2, 2)
			},
		},
		"LoKr of a first product": {
			[]int{out, in},
			[]weights.Entry{f32("lokr_w1_a", 2, 1), f32("lokr_w1_b", 1, 2), f32("lokr_w2", 3, 2), alpha},
			3,
			func(e []weights.Entry) []float64 {
				return kron(matrix(t, e[0], e[1], nil), wide(values(t, e[2])), 2, 2)
			},
		},
		"LoKr in Tucker form, behind a bypass loader": {
			[]int{out, in, 3, 3},
			[]weights.Entry{f32("lokr_w1", 2, 2), f32("lokr_w2_a", 2, 3), f32("lokr_w2_b", 2, 2), f32("lokr_t2", 2, 2, 3, 3), alpha},
			1.5,
			func(e []weights.Entry) []float64 {
				return kron(wide(values(t, e[0])), matrix(t, e[1], e[2], &e[3]), 2, 18)
			},
		},
	} {
		base := random(t, "l.weight", dtype.F32, c.weight...)
		delta := c.delta(c.file)
		want := make([]float32, base.Count())
		for i, w := range values(t, base) {
			want[i] = float32(float64(w) + 0.75*c.scale*delta[i])
		}
		model := source(t, "model", base)
		f := read(t, model, c.file...)
		if strings.HasSuffix(name, "bypass loader") {
			f = f.OfOutput(shapes("m.", model))
		}
		near(t, name, applied(t, model, f, 0.75), want)
	}
}

// changedBy returns the weight base as an adapter file changes it.
func changedBy(t *testing.T, base weights.Entry, strength float64, file ...weights.Entry) []float32 {
	t.Helper()
	model := source(t, "model", base)
	return applied(t, model, read(t, model, file...), strength)
}

// read reads an adapter file whose layer "a" is the weight "l.weight" of a model.
func read(t *testing.T, model weights.Source, file ...weights.Entry) *patch.File {
	t.Helper()
	var keys patch.KeyMap
	keys.AddKey("a", "m.l.weight")
	f, err := patch.Read(source(t, "file", file...), &keys, shapes("m.", model))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// applied returns the weight "l.weight" of a model as an adapter file changes it, all of it computed.
func applied(t *testing.T, model weights.Source, f *patch.File, strength float64) []float32 {
	t.Helper()
	src, err := patch.Stack{}.With(f, strength).Whole("m.", model)
	if err != nil {
		t.Fatal(err)
	}
	e, _ := src.Lookup("l.weight")
	return values(t, e)
}

// TestDoRA: by rows the norm is that of the weight, by input channels that of the changed weight; [1,n] counts as input
// channels also when the weight is square.
func TestDoRA(t *testing.T) {
	t.Parallel()
	const n = 6
	for name, c := range map[string]struct {
		weight, magnitudes []int
		rows               bool
	}{
		"rows":           {[]int{n, 4, 3, 3}, []int{n, 1, 1, 1}, true},
		"input channels": {[]int{n, 4, 3, 3}, []int{1, 4, 1, 1}, false},
		"square, rows":   {[]int{n, n}, []int{n, 1}, true},
		"square, inputs": {[]int{n, n}, []int{1, n}, false},
	} {
		base := random(t, "l.weight", dtype.F32, c.weight...)
		es := lowRank(t, "a", c.weight[0], 2, c.weight[1:]...) // alpha is half the rank
		scale := random(t, "a.dora_scale", dtype.F32, c.magnitudes...)
		w, delta, m := wide(values(t, base)), product(t, es[0], es[1], nil), wide(values(t, scale))
		cols := len(w) / n
		taps := cols / c.weight[1]
		index := func(i int) int {
			if c.rows {
				return i / cols
			}
			return i % cols / taps
		}
		norms := make([]float64, len(m))
		for i := range w {
			x := w[i]
			if !c.rows {
				x += 0.5 * delta[i]
			}
			norms[index(i)] += x * x
		}
		want := make([]float32, len(w))
		for i := range w {
			k := index(i)
			want[i] = float32(w[i] + 0.75*((w[i]+0.5*delta[i])*m[k]/math.Sqrt(norms[k])-w[i]))
		}
		near(t, name, changedBy(t, base, 0.75, append(es, scale)...), want)
	}
}

// TestFactorsThatDoNotFit: products that do not fit the weight's shape are rejected before they are computed.
func TestFactorsThatDoNotFit(t *testing.T) {
	t.Parallel()
	f32 := func(name string, shape ...int) weights.Entry { return random(t, "a."+name, dtype.F32, shape...) }
	for name, file := range map[string][]weights.Entry{
		"LoHa rows":        {f32("hada_w1_a", 5, 2), f32("hada_w1_b", 2, 4), f32("hada_w2_a", 6, 2), f32("hada_w2_b", 2, 4)},
		"LoHa ranks":       {f32("hada_w1_a", 6, 2), f32("hada_w1_b", 3, 4), f32("hada_w2_a", 6, 2), f32("hada_w2_b", 2, 4)},
		"LoHa vectors":     {f32("hada_w1_a", 6), f32("hada_w1_b", 4), f32("hada_w2_a", 6), f32("hada_w2_b", 4)},
		"LoHa Tucker":      {f32("hada_w1_a", 2, 6), f32("hada_w1_b", 2, 4), f32("hada_w2_a", 2, 6), f32("hada_w2_b", 2, 4), f32("hada_t1", 3, 2), f32("hada_t2", 2, 2)},
		"LoKr sizes":       {f32("lokr_w1", 2, 2), f32("lokr_w2", 2, 2)},
		"LoKr vectors":     {f32("lokr_w1", 6), f32("lokr_w2", 4)},
		"LoKr ranks":       {f32("lokr_w1", 2, 2), f32("lokr_w2_a", 3, 2), f32("lokr_w2_b", 3, 2)},
		"LoKr Tucker":      {f32("lokr_w1", 2, 2), f32("lokr_w2_a", 2, 3), f32("lokr_w2_b", 2, 2), f32("lokr_t2", 2)},
		"DoRA of a scalar": append(lowRank(t, "a", 6, 2, 4), f32("dora_scale")),
		"DoRA of five":     append(lowRank(t, "a", 6, 2, 4), f32("dora_scale", 1, 5)),
		"DoRA of rows":     append(lowRank(t, "a", 6, 2, 4), f32("dora_scale", 6, 4)),
	} {
		var keys patch.KeyMap
		keys.AddKey("a", "m.l.weight")
		_, err := patch.Read(source(t, "file", file...), &keys, shapes("m.", source(t, "model", f32("x", 1), random(t, "l.weight", dtype.F32, 6, 4))))
		if err == nil || !strings.Contains(err.Error(), "m.l.weight") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
