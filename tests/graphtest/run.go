package graphtest

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode"

	"comfygo/engine/dtype"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/ort"
	"comfygo/internal/ortlib"
)

// library is opened by the first graph that runs; a process can have no more than one.
var library = sync.OnceValues(func() (*ort.Runtime, error) {
	path, err := ortlib.Find(ortlib.Options{})
	if err != nil {
		return nil, err
	}
	return ort.Open(ort.Config{Library: path})
})

// Main runs the tests of a package that runs graphs and closes the library afterwards: func TestMain(m *testing.M) {
// graphtest.Main(m) }.
func Main(m *testing.M) {
	lib, err := library()
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

// HasLinear reports that this CPU runs the engine's own operators (ort.Runtime.HasLinear).
func HasLinear() bool {
	lib, err := library()
	return err == nil && lib.HasLinear()
}

// Block is the channel block of blocked convolutions on this CPU (ort.Runtime.NchwcBlock).
func Block() int {
	lib, err := library()
	if err != nil {
		return 0
	}
	return lib.NchwcBlock()
}

// Feed is an input of a graph under test: its value, and its shape as the graph declares it.
type Feed struct {
	Value ort.Value
	Shape onnx.Shape
}

// Fixed feeds an array under its own shape.
func Fixed(a Array) Feed { return Feed{ort.Floats(a.Data, a.Shape...), onnx.Dims(a.Shape...)} }

// Symbolic feeds an array with dimensions declared as expressions in the syntax of onnx.Sym.
func Symbolic(a Array, dims ...string) Feed {
	f := Feed{Value: ort.Floats(a.Data, a.Shape...)}
	for _, d := range dims {
		f.Shape = append(f.Shape, onnx.Sym(d))
	}
	return f
}

// Ints feeds int64 numbers under their own shape.
func Ints(data []int64, shape ...int) Feed {
	return Feed{ort.Ints(data, shape...), onnx.Dims(shape...)}
}

// Compute builds a graph over the inputs, named in0, in1, …, runs it on the CPU and returns its result. Weights are made
// from their nn.Source. The shape that was inferred for the result must be the one that comes out.
func Compute(t *testing.T, feeds []Feed, build func(g *onnx.Graph, in []*onnx.Value) *onnx.Value) Array {
	t.Helper()
	var inferred onnx.Shape
	g, err := onnx.Build("test", func(g *onnx.Graph) error {
		var in []*onnx.Value
		for i, f := range feeds {
			in = append(in, g.Input(fmt.Sprintf("in%d", i), f.Value.DType, f.Shape...))
		}
		out := build(g, in)
		inferred = out.Shape
		g.Output("out", g.Cast(out, dtype.F32))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	inputs, symbols := map[string]ort.Value{}, map[string]int{}
	for i, f := range feeds {
		inputs[fmt.Sprintf("in%d", i)] = f.Value
		for j, d := range f.Shape {
			solve(symbols, d, f.Value.Shape[j])
		}
	}
	out := run(t, g, inputs)
	want := make([]int, len(inferred))
	for i, d := range inferred {
		if want[i], err = d.Eval(symbols); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(out.Shape, want) {
		t.Fatalf("the result has the shape %v; %v was inferred, which is %v", out.Shape, inferred, want)
	}
	data, err := out.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	return Array{out.Shape, data}
}

func run(t *testing.T, g *onnx.Graph, inputs map[string]ort.Value) ort.Value {
	t.Helper()
	lib, err := library()
	if err != nil {
		t.Fatal(err)
	}
	model, err := g.Marshal(func(in onnx.Initializer) (onnx.Placement, error) {
		source, ok := in.Source.(nn.Source)
		if !ok {
			return onnx.Placement{}, fmt.Errorf("its source is a %T", in.Source)
		}
		data := make([]byte, source.Size())
		for _, task := range source.Tasks(data, nn.Kernels{}) {
			if err := task(); err != nil {
				return onnx.Placement{}, err
			}
		}
		return onnx.Placement{Inline: data}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// As the engine runs graphs: convolutions are in the blocked layout already where they should be.
	s, err := lib.NewSession(t.Context(), ort.SessionSpec{Name: g.Name, Model: model, Threads: 1, OptLevel: ort.OptExtended})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out, err := s.Run(t.Context(), inputs, []string{"out"})
	if err != nil {
		t.Fatal(err)
	}
	return out["out"]
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
