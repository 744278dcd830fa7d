package onnx_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode"

	"comfygo/engine/dtype"
	"comfygo/engine/onnx"
	"comfygo/engine/ort"
	"comfygo/internal/ortlib"
)

// lib runs the graphs that these tests build; a process can have no more than one.
var lib *ort.Runtime

func TestMain(m *testing.M) {
	path, err := ortlib.Find(ortlib.Options{})
	if err == nil {
		lib, err = ort.Open(ort.Config{Library: path})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := lib.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// array is a tensor of the references, row-major.
type array struct {
	shape []int
	data  []float32
}

func zeros(shape ...int) array {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return array{shape, make([]float32, n)}
}

// random returns normal numbers that depend on the shape alone.
func random(shape ...int) array {
	seed := uint64(len(shape))
	for _, d := range shape {
		seed = seed*31 + uint64(d)
	}
	r := rand.New(rand.NewPCG(seed, 7))
	a := zeros(shape...)
	for i := range a.data {
		a.data[i] = float32(r.NormFloat64())
	}
	return a
}

// at returns the offset of an element.
func (a array) at(index ...int) int {
	n := 0
	for i, d := range a.shape {
		n = n*d + index[i]
	}
	return n
}

// each calls f for every index of the shape; f must not keep it.
func (a array) each(f func(index []int)) {
	index := make([]int, len(a.shape))
	for range a.data {
		f(index)
		for i := len(index) - 1; i >= 0; i-- {
			if index[i]++; index[i] < a.shape[i] {
				break
			}
			index[i] = 0
		}
	}
}

// filled returns an array of the given shape with f's values.
func filled(shape []int, f func(index []int) float32) array {
	a := zeros(shape...)
	a.each(func(index []int) { a.data[a.at(index...)] = f(index) })
	return a
}

// feed is an input of a graph under test: its value, and its shape as the graph declares it.
type feed struct {
	value ort.Value
	shape onnx.Shape
}

// fixed feeds an array under its own shape.
func fixed(a array) feed { return feed{ort.Floats(a.data, a.shape...), onnx.Dims(a.shape...)} }

// symbolic feeds an array whose dimensions are declared as expressions.
func symbolic(a array, dims ...string) feed {
	f := feed{value: ort.Floats(a.data, a.shape...)}
	for _, d := range dims {
		f.shape = append(f.shape, onnx.Sym(d))
	}
	return f
}

// ints feeds int64 numbers under their own shape.
func ints(data []int64, shape ...int) feed {
	return feed{ort.Ints(data, shape...), onnx.Dims(shape...)}
}

// compute builds a graph over the inputs, named in0, in1, …, and runs it on the CPU. The shape that was inferred for the
// result must be the one that comes out.
func compute(t *testing.T, feeds []feed, build func(g *onnx.Graph, in []*onnx.Value) *onnx.Value) array {
	t.Helper()
	var inferred onnx.Shape
	g, err := onnx.Build("test", func(g *onnx.Graph) error {
		var in []*onnx.Value
		for i, f := range feeds {
			in = append(in, g.Input(fmt.Sprintf("in%d", i), f.value.DType, f.shape...))
		}
		out := build(g, in)
		inferred = out.Shape
		g.Output("out", g.Cast(out, dtype.F32))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	model, err := g.Marshal(func(in onnx.Initializer) (onnx.Placement, error) {
		return onnx.Placement{Inline: in.Source.([]byte)}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := lib.NewSession(t.Context(), ort.SessionSpec{Name: g.Name, Model: model, Threads: 1, OptLevel: ort.OptExtended})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	inputs, symbols := map[string]ort.Value{}, map[string]int{}
	for i, f := range feeds {
		inputs[fmt.Sprintf("in%d", i)] = f.value
		for j, d := range f.shape {
			solve(symbols, d, f.value.Shape[j])
		}
	}
	out, err := s.Run(t.Context(), inputs, []string{"out"})
	if err != nil {
		t.Fatal(err)
	}
	data, err := out["out"].Float32s()
	if err != nil {
		t.Fatal(err)
	}
	want := make([]int, len(inferred))
	for i, d := range inferred {
		if want[i], err = d.Eval(symbols); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(out["out"].Shape, want) {
		t.Fatalf("the result has the shape %v; %v was inferred, which is %v", out["out"].Shape, inferred, want)
	}
	return array{out["out"].Shape, data}
}

// solve finds the value of the symbol in d, if it has but one, from d's value.
func solve(symbols map[string]int, d onnx.Dim, value int) {
	names := strings.FieldsFunc(d.String(), func(r rune) bool { return !unicode.IsLetter(r) })
	if len(names) != 1 {
		return
	}
	for v := range value + 1 {
		if n, err := d.Eval(map[string]int{names[0]: v}); err == nil && n == value {
			symbols[names[0]] = v
		}
	}
}

// same compares with the reference, relative to its largest element. ONNX Runtime adds in another order, in float32.
func same(t *testing.T, got, want array) {
	t.Helper()
	if !slices.Equal(got.shape, want.shape) {
		t.Fatalf("shape %v, want %v", got.shape, want.shape)
	}
	largest := 1e-6
	for _, v := range want.data {
		largest = max(largest, math.Abs(float64(v)))
	}
	for i := range want.data {
		if d := math.Abs(float64(got.data[i] - want.data[i])); !(d <= 5e-6*largest) {
			t.Fatalf("element %d: got %v, want %v", i, got.data[i], want.data[i])
		}
	}
}
