package ort

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"comfygo/engine/dtype"
)

// half is the value of a half-precision number, from its definition.
func half(h uint16) float32 {
	sign := 1.0
	if h&0x8000 != 0 {
		sign = -1
	}
	exp, man := int(h>>10&31), float64(h&0x3ff)
	switch {
	case exp == 31 && man != 0:
		return float32(math.NaN())
	case exp == 31:
		return float32(math.Inf(int(sign)))
	case exp == 0:
		return float32(math.Copysign(math.Ldexp(man, -24), sign))
	}
	return float32(sign * math.Ldexp(1+man/1024, exp-15))
}

func brain(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

func same(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}

// widen runs the operator on a weight that starts at an odd address, as weights in a file may.
func widen(t testing.TB, op string, attrs map[string][]int64, d dtype.DType, dims []int, data []byte) Value {
	t.Helper()
	moved := append(make([]byte, 1, len(data)+1), data...)[1:]
	g := graph{
		nodes:   []wireNode{{op: op, domain: "comfygo", in: []string{"w", "x"}, out: []string{"y"}, ints: attrs}},
		inits:   []stored{{"w", d, dims, moved, memoryLocation(t)}},
		inputs:  []wireTensor{tensorOf("x", 1)},
		outputs: []wireTensor{tensorOf("y")},
	}
	g.outputs[0].open = true
	s := newSession(t, g.spec(op))
	out, err := s.Run(t.Context(), map[string]Value{"x": Floats([]float32{0}, 1)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out["y"]
}

// Not parallel, nor are its cases: the instruction set is the process's.
func TestWidenIsExactForEveryValue(t *testing.T) {
	defer limitVectors(0)
	all := make([]uint16, 3*1<<16+5) // over one chunk, and with a tail
	for i := range all {
		all[i] = uint16(i)
	}
	for _, level := range []int{1, 2, 0} {
		limitVectors(level)
		for d, want := range map[dtype.DType]func(uint16) float32{dtype.F16: half, dtype.BF16: brain} {
			v := widen(t, "Widen", nil, d, []int{len(all)}, bytesOf(all))
			got, err := v.Float32s()
			if err != nil || len(got) != len(all) {
				t.Fatalf("level %d, %v: %d values, %v", level, d, len(got), err)
			}
			for i, h := range all {
				if !same(got[i], want(h)) {
					t.Fatalf("level %d, %v: %#04x became %v, want %v", level, d, h, got[i], want(h))
				}
			}
		}
	}
}

// blocked reorders a convolution weight by the definition of MLAS's layout.
func blocked(w []float32, o, i, k, b int) []float32 {
	rows := (o + b - 1) / b * b
	out := make([]float32, rows*i*k)
	for oo := range o {
		for ii := range i {
			for kk := range k {
				at := ((oo/b*(i/b)+ii/b)*k+kk)*b*b + ii%b*b + oo%b
				if i < b {
					at = ((oo/b*i+ii)*k+kk)*b + oo%b
				}
				out[at] = w[(oo*i+ii)*k+kk]
			}
		}
	}
	return out
}

func TestWidenBlockedFollowsTheLayout(t *testing.T) {
	defer limitVectors(0)
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct{ o, i, kh, kw, b int }{
		{32, 48, 3, 3, 16}, {32, 16, 1, 1, 16}, {24, 16, 3, 3, 8}, {4, 32, 3, 3, 16}, {32, 4, 3, 3, 16}, {40, 32, 3, 1, 16}, {16, 16, 5, 7, 8},
	} {
		n := c.o * c.i * c.kh * c.kw
		bits := make([]uint16, n)
		for i := range bits {
			bits[i] = uint16(rng.Uint32()) & 0xbfff // no infinities and NaNs in half precision
		}
		for _, d := range []dtype.DType{dtype.F16, dtype.BF16, dtype.F32} {
			plain, data := make([]float32, n), bytesOf(bits)
			for i, h := range bits {
				plain[i] = half(h)
				if d == dtype.BF16 {
					plain[i] = brain(h)
				}
			}
			if d == dtype.F32 {
				data = bytesOf(plain)
			}
			want := blocked(plain, c.o, c.i, c.kh*c.kw, c.b)
			for _, level := range []int{1, 0} {
				limitVectors(level)
				v := widen(t, "WidenBlocked", map[string][]int64{"block": {int64(c.b)}}, d, []int{c.o, c.i, c.kh, c.kw}, data)
				if got := fmt.Sprint(v.Shape); got != fmt.Sprint([]int{(c.o + c.b - 1) / c.b * c.b, c.i, c.kh, c.kw}) {
					t.Errorf("%+v: shape %s", c, got)
				}
				got, _ := v.Float32s()
				for i := range want {
					if !same(got[i], want[i]) {
						t.Fatalf("%+v %v level %d: element %d is %v, want %v", c, d, level, i, got[i], want[i])
					}
				}
			}
		}
	}
}

func TestWidenRefusesWhatItCannotConvert(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		op    string
		dtype dtype.DType
		dims  []int
		attrs map[string][]int64
	}{
		{"Widen", dtype.I32, []int{4}, nil},
		{"WidenBlocked", dtype.F16, []int{16, 24, 1, 1}, map[string][]int64{"block": {16}}},
		{"WidenBlocked", dtype.F16, []int{16, 16}, map[string][]int64{"block": {16}}},
		{"WidenBlocked", dtype.F16, []int{16, 16, 1, 1}, map[string][]int64{"block": {0}}},
		{"WidenBlocked", dtype.F16, []int{16, 16, 1, 1}, nil},
	} {
		n := c.dtype.Size()
		for _, d := range c.dims {
			n *= d
		}
		out := tensorOf("y")
		out.open = true
		g := graph{
			nodes:  []wireNode{{op: c.op, domain: "comfygo", in: []string{"w", "x"}, out: []string{"y"}, ints: c.attrs}},
			inits:  []stored{{"w", c.dtype, c.dims, make([]byte, n), memoryLocation(t)}},
			inputs: []wireTensor{tensorOf("x", 1)}, outputs: []wireTensor{out},
		}
		s, err := lib.NewSession(t.Context(), g.spec(c.op))
		if err != nil {
			continue
		}
		if _, err = s.Run(t.Context(), map[string]Value{"x": Floats([]float32{0}, 1)}, nil); err == nil {
			t.Errorf("%+v was accepted", c)
		}
		s.Close()
	}
}

func BenchmarkWiden(b *testing.B) {
	const n = 64 << 20
	data := make([]byte, 2*n)
	for i := range data {
		data[i] = byte(i * 7)
	}
	for _, c := range []struct {
		op    string
		dims  []int
		attrs map[string][]int64
	}{
		{"Widen", []int{8192, 8192}, nil},
		{"WidenBlocked", []int{2048, 2048, 4, 4}, map[string][]int64{"block": {16}}},
	} {
		for _, d := range []dtype.DType{dtype.F16, dtype.BF16} {
			b.Run(c.op+"/"+d.String(), func(b *testing.B) {
				g := graph{
					nodes: []wireNode{
						{op: c.op, domain: "comfygo", in: []string{"w", "x"}, out: []string{"wide"}, ints: c.attrs},
						nodeOf("Shape", []string{"wide"}, []string{"s"}),
						{op: "Cast", in: []string{"s"}, out: []string{"y"}, ints: map[string][]int64{"to": {1}}},
					},
					inits:  []stored{{"w", d, c.dims, data, memoryLocation(b)}},
					inputs: []wireTensor{tensorOf("x", 1)}, outputs: []wireTensor{tensorOf("y", int64(len(c.dims)))},
				}
				spec := g.spec(c.op)
				spec.OptLevel = OptOff // with it the shape would be known beforehand and nothing would be widened
				s := newSession(b, spec)
				b.SetBytes(6 * n) // read and written
				for b.Loop() {
					if _, err := s.Run(b.Context(), map[string]Value{"x": Floats([]float32{0}, 1)}, nil); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
