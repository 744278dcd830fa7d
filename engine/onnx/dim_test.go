package onnx_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"comfygo/engine/onnx"
)

func TestDimensionsAreEqualByValue(t *testing.T) {
	t.Parallel()
	h, w := onnx.Sym("H"), onnx.Sym("W")
	cases := []struct {
		got  onnx.Dim
		want string
	}{
		{onnx.Sym("H*8"), "8*H"},
		{h.Times(onnx.D(8)), "8*H"},
		{h.Plus(h).Plus(onnx.D(3)).Minus(onnx.D(1)), "2*H+2"},
		{h.Times(w).Minus(w.Times(h)), "0"},
		{w.Times(h), "H*W"},
		{h.Plus(onnx.D(1)).Times(h.Minus(onnx.D(1))), "H*H-1"},
		{onnx.Sym("(H+1)*(W+1)"), "H*W+H+W+1"},
		// A convolution with stride two and one zero on each side rounds up; on 8*H it is exact.
		{h.Minus(onnx.D(1)).Div(2).Plus(onnx.D(1)), "floor((H+1)/2)"},
		{onnx.Sym("8*H-1").Div(2).Plus(onnx.D(1)), "4*H"},
		{h.CeilDiv(2).CeilDiv(2), "floor((H+3)/4)"},
		{onnx.Sym("4*H+2").Div(8), "floor(H/2)"},
		{onnx.Sym("5*H+9").Div(4), "H+floor((H+1)/4)+2"},
		{onnx.Sym("floor(H/2)").Times(onnx.D(2)), "2*floor(H/2)"},
		{onnx.Sym("-H+10"), "-H+10"},
		{onnx.D(7).Div(2), "3"},
		{onnx.D(-7).Div(2), "-4"},
	}
	for _, c := range cases {
		if c.got.String() != c.want || c.got != onnx.Sym(c.want) {
			t.Errorf("got %v, want %s", c.got, c.want)
		}
	}
}

func TestQuotient(t *testing.T) {
	t.Parallel()
	cases := []struct{ a, b, want string }{
		{"B*H*W*320", "32*B", "10*H*W"},
		{"H*W", "W", "H"},
		{"H*H+2*H*W+W*W", "H+W", "H+W"},
		{"4*H*W", "8", ""},
		{"H*W+1", "W", ""},
		{"H", "W", ""},
		{"0", "H", "0"},
		{"H", "0", ""},
		{"6", "4", ""},
	}
	for _, c := range cases {
		got, ok := onnx.Sym(c.a).Quotient(onnx.Sym(c.b))
		if ok != (c.want != "") || ok && got != onnx.Sym(c.want) {
			t.Errorf("(%s)/(%s): got %v, %t, want %q", c.a, c.b, got, ok, c.want)
		}
	}
}

func TestAtLeast(t *testing.T) {
	t.Parallel()
	cases := []struct {
		a, b string
		want bool
	}{
		{"H+T", "T", true},
		{"H+T", "T+1", true},
		{"H+T", "T+2", false},
		{"3", "3", true},
		{"2", "3", false},
		{"H-1", "0", true},
		{"H-2", "0", false},
		{"floor((H+1)/2)", "1", true},
		{"floor(H/2)", "1", false},
		{"H", "W", false},
	}
	for _, c := range cases {
		if got := onnx.Sym(c.a).AtLeast(onnx.Sym(c.b)); got != c.want {
			t.Errorf("%s >= %s: got %t", c.a, c.b, got)
		}
	}
}

func TestWrongDimensions(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "H W", "2H", "H*", "floor", "floor(H)", "floor(H/0)", "floor(H/W)", "(H", "H)", "99999999999999999999", strings.Repeat("(", 1000)} {
		func() {
			defer func() {
				err, _ := recover().(error)
				var be *onnx.BuildError
				if !errors.As(err, &be) {
					t.Errorf("%q: got %v, want a build error", text, err)
				}
			}()
			onnx.Sym(text)
		}()
	}
	if _, err := onnx.Sym("H*W").Eval(map[string]int{"H": 1}); err == nil || !strings.Contains(err.Error(), "W") {
		t.Errorf("got %v, want an error that names W", err)
	}
}

// TestArithmeticIsSound compares random expressions with the same arithmetic on numbers.
func TestArithmeticIsSound(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	values := map[string]int{}
	var grow func(depth int) (onnx.Dim, int)
	grow = func(depth int) (onnx.Dim, int) {
		if depth == 0 {
			if r.IntN(3) == 0 {
				n := r.IntN(20)
				return onnx.D(n), n
			}
			s := string(rune('A' + r.IntN(3)))
			return onnx.Sym(s), values[s]
		}
		a, x := grow(depth - 1)
		switch r.IntN(4) {
		case 0:
			b, y := grow(depth - 1)
			return a.Plus(b), x + y
		case 1:
			b, y := grow(r.IntN(depth))
			return a.Times(b), x * y
		case 2:
			n := 1 + r.IntN(9)
			return a.Div(n), x / n
		}
		n := 1 + r.IntN(9)
		return a.CeilDiv(n), (x + n - 1) / n
	}
	for range 3000 {
		for _, s := range []string{"A", "B", "C"} {
			values[s] = 1 + r.IntN(30)
		}
		d, want := grow(r.IntN(6))
		if got, err := d.Eval(values); err != nil || got != want {
			t.Fatalf("%v at %v: got %d, %v, want %d", d, values, got, err, want)
		}
		if again := onnx.Sym(d.String()); again != d {
			t.Fatalf("%v is read as %v", d, again)
		}
		if !d.AtLeast(onnx.D(0)) {
			t.Fatalf("%v is not known to be positive", d)
		}
	}
}
