package ort

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"comfygo/engine/dtype"
)

func addSpec() SessionSpec { return SessionSpec{Name: "add", Model: addModel()} }

func TestRunComputes(t *testing.T) {
	t.Parallel()
	spec := addSpec()
	spec.Shrink = true // must change nothing that can be seen here
	s := newSession(t, spec)
	if got := fmt.Sprint(s.Inputs(), s.Outputs()); got != "[x F32[2]] [y F32[2]]" {
		t.Errorf("inputs and outputs are %s", got)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			out, err := s.Run(context.Background(), map[string]Value{"x": Floats([]float32{float32(i), 3}, 2)}, []string{"y"})
			if err != nil {
				t.Error(err)
				return
			}
			y, err := out["y"].Float32s()
			if err != nil || y[0] != float32(2*i) || y[1] != 6 {
				t.Errorf("got %v, %v", y, err)
			}
		})
	}
	wg.Wait()
}

// TestRunWritesToKnownShapes runs a session with a given output shape: the right one, none and a wrong one.
func TestRunWritesToKnownShapes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		shape []int
		fails bool
	}{"known": {[]int{2}, false}, "unknown": {nil, false}, "wrong": {[]int{3}, true}} {
		spec, asked := addSpec(), 0
		spec.Shape = func(output string, inputs map[string][]int) ([]int, bool) {
			asked++
			if output != "y" || fmt.Sprint(inputs) != "map[x:[2]]" {
				t.Errorf("%s: asked for %s of %v", name, output, inputs)
			}
			return c.shape, c.shape != nil
		}
		out, err := newSession(t, spec).Run(t.Context(), map[string]Value{"x": Floats([]float32{1, 3}, 2)}, nil)
		if c.fails {
			if err == nil {
				t.Errorf("%s: no error", name)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		y, err := out["y"].Float32s()
		if err != nil || fmt.Sprint(y) != "[2 6]" || asked != 1 {
			t.Errorf("%s: %v, %v, asked %d times", name, y, err, asked)
		}
	}
}

func TestRunRefusesWrongInputs(t *testing.T) {
	t.Parallel()
	s := newSession(t, addSpec())
	good := Floats([]float32{1, 2}, 2)
	tests := []struct {
		name    string
		inputs  map[string]Value
		outputs []string
		want    string
	}{
		{"missing", nil, nil, "input x F32[2] is missing"},
		{"unknown", map[string]Value{"x": good, "z": good}, nil, `no input "z"`},
		{"shape", map[string]Value{"x": Floats([]float32{1}, 1)}, nil, "was given F32[1]"},
		{"type", map[string]Value{"x": Ints([]int64{1, 2}, 2)}, nil, "was given I64[2]"},
		{"bytes", map[string]Value{"x": {DType: dtype.F32, Shape: []int{2}, Data: make([]byte, 4)}}, nil, "with 4 bytes"},
		{"output", map[string]Value{"x": good}, []string{"q"}, `no output "q"`},
	}
	for _, test := range tests {
		_, err := s.Run(t.Context(), test.inputs, test.outputs)
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "running graph add") {
			t.Errorf("%s: got %v, want an error with %q", test.name, err, test.want)
		}
	}
}

func TestWeightsAreUsedWhereTheyLie(t *testing.T) {
	t.Parallel()
	weights := make([]float32, 32*32)
	for i := range 32 {
		weights[i*32+i] = 1
	}
	w := stored{"w", dtype.F32, []int{32, 32}, bytesOf(weights), memoryLocation(t)}
	g := graph{
		nodes: []wireNode{nodeOf("MatMul", []string{"x", "w"}, []string{"y"})},
		inits: []stored{w}, inputs: []wireTensor{tensorOf("x", 1, 32)}, outputs: []wireTensor{tensorOf("y", 1, 32)},
	}
	released := 0
	spec := g.spec("weights")
	spec.Release = func() { released++ }
	s, err := lib.NewSession(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	first := func() float32 {
		t.Helper()
		x := make([]float32, 32)
		x[0] = 1
		out, err := s.Run(t.Context(), map[string]Value{"x": Floats(x, 1, 32)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		y, _ := out["y"].Float32s()
		return y[0]
	}
	if got := first(); got != 1 {
		t.Errorf("got %v, want 1", got)
	}
	weights[0] = 5 // the session must see it: it has no copy
	if got := first(); got != 5 {
		t.Errorf("after a change of the weight: got %v, want 5", got)
	}
	if released != 0 {
		t.Error("released while in use")
	}
	s.Close()
	s.Close()
	if released != 1 {
		t.Errorf("released %d times, want once", released)
	}
	if _, err := s.Run(t.Context(), nil, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("run after close: %v", err)
	}
}

func TestAnOptimizerThatWantsTheValuesFailsLoudly(t *testing.T) {
	t.Parallel()
	w := stored{"kernel", dtype.F32, []int{32, 16}, bytesOf(make([]float32, 512)), memoryLocation(t)}
	g := graph{
		nodes: []wireNode{
			{op: "Transpose", in: []string{"kernel"}, out: []string{"t"}, ints: map[string][]int64{"perm": {1, 0}}},
			nodeOf("MatMul", []string{"x", "t"}, []string{"y"}),
		},
		inits: []stored{w}, inputs: []wireTensor{tensorOf("x", 1, 16)}, outputs: []wireTensor{tensorOf("y", 1, 32)},
	}
	released := false
	spec := g.spec("folding")
	spec.Release = func() { released = true }
	_, err := lib.NewSession(t.Context(), spec)
	if err == nil || !strings.Contains(err.Error(), "kernel") || !strings.Contains(err.Error(), "folding") {
		t.Errorf("got %v, want an error that names the weight and the graph", err)
	}
	if !released {
		t.Error("the weights were not released after the failure")
	}
}

func TestSessionErrorsNameTheGraph(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	cancel(stop)
	for name, test := range map[string]struct {
		ctx  context.Context
		spec SessionSpec
		want string
	}{
		"empty":   {t.Context(), SessionSpec{}, "the model is empty"},
		"garbage": {t.Context(), SessionSpec{Model: []byte("no protobuf")}, ""},
		"level":   {t.Context(), SessionSpec{Model: addModel(), OptLevel: 9}, "optimization level 9"},
		"no data": {t.Context(), SessionSpec{Model: addModel(), Initializers: []Initializer{{Name: "w", DType: dtype.F32, Shape: []int{4}}}}, "initializer w"},
		"config":  {t.Context(), SessionSpec{Model: addModel(), Config: map[string]string{"": "1"}}, "setting"},
		"ended":   {ctx, addSpec(), "stop"},
	} {
		test.spec.Name = "some-graph"
		_, err := lib.NewSession(test.ctx, test.spec)
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "some-graph") {
			t.Errorf("%s: got %v, want an error with %q", name, err, test.want)
		}
	}
}

// slow is a chain of products that takes seconds on any machine.
func slow() graph {
	const n, size = 400, 1024
	g := graph{inputs: []wireTensor{tensorOf("x", size, size)}}
	last := "x"
	for i := range n {
		out := fmt.Sprintf("y%d", i)
		g.nodes = append(g.nodes, nodeOf("MatMul", []string{last, "x"}, []string{out}))
		last = out
	}
	g.outputs = []wireTensor{tensorOf(last, size, size)}
	return g
}

func TestTheEndOfTheContextStopsARun(t *testing.T) {
	t.Parallel()
	s := newSession(t, slow().spec("slow"))
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("interrupted by the user")
	time.AfterFunc(100*time.Millisecond, func() { cancel(stop) })
	x := Floats(make([]float32, 1024*1024), 1024, 1024)
	begin := time.Now()
	_, err := s.Run(ctx, map[string]Value{"x": x}, nil)
	if !errors.Is(err, stop) {
		t.Errorf("got %v, want the context's cause", err)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("stopping took %v", took)
	}
	if _, err := s.Run(ctx, map[string]Value{"x": x}, nil); !errors.Is(err, stop) {
		t.Errorf("with an ended context: got %v, want its cause", err)
	}
}

func TestTheEndOfTheContextStopsLoading(t *testing.T) {
	t.Parallel()
	g := graph{inputs: []wireTensor{tensorOf("x", 4)}, outputs: []wireTensor{tensorOf("y", 4)}}
	last := "x"
	for i := range 6000 { // the optimizers walk over these again and again
		out := fmt.Sprintf("n%d", i)
		g.nodes = append(g.nodes, nodeOf("Relu", []string{last}, []string{out}), nodeOf("Neg", []string{out}, []string{out + "n"}))
		last = out + "n"
	}
	g.nodes = append(g.nodes, nodeOf("Abs", []string{last}, []string{"y"}))
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("interrupted by the user")
	time.AfterFunc(20*time.Millisecond, func() { cancel(stop) })
	if _, err := lib.NewSession(ctx, g.spec("long")); !errors.Is(err, stop) {
		t.Errorf("got %v, want the context's cause", err)
	}
}

func TestLocation(t *testing.T) {
	t.Parallel()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "real.safetensors")
	if err := os.WriteFile(file, bytesOf([]float32{1, 2, 3}), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link.safetensors")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, link} {
		got, err := lib.Location(path)
		if err != nil || got != strings.TrimPrefix(filepath.ToSlash(file), "/") {
			t.Errorf("Location(%s) = %q, %v", path, got, err)
		}
	}
	if _, err := lib.Location(filepath.Join(dir, "absent")); err == nil {
		t.Error("a missing file has a location")
	}
}

// A weight whose location is the true file may be read by an optimizer: here the product of two weights is folded.
func TestOptimizersReadTheRealFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "w.bin")
	data := bytesOf([]float32{1, 2, 3, 4})
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	loc, err := lib.Location(file)
	if err != nil {
		t.Fatal(err)
	}
	g := graph{
		nodes: []wireNode{nodeOf("Mul", []string{"w", "w"}, []string{"ww"}), nodeOf("Add", []string{"x", "ww"}, []string{"y"})},
		inits: []stored{{"w", dtype.F32, []int{4}, data, loc}}, inputs: []wireTensor{tensorOf("x", 4)}, outputs: []wireTensor{tensorOf("y", 4)},
	}
	s := newSession(t, g.spec("file"))
	out, err := s.Run(t.Context(), map[string]Value{"x": Floats(make([]float32, 4), 4)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if y, _ := out["y"].Float32s(); fmt.Sprint(y) != "[1 4 9 16]" {
		t.Errorf("got %v", y)
	}
}

func TestRuntimeDescribesItself(t *testing.T) {
	t.Parallel()
	providers, err := lib.Providers()
	if err != nil || !strings.Contains(strings.Join(providers, " "), "CPUExecutionProvider") {
		t.Errorf("providers: %v, %v", providers, err)
	}
	if !strings.HasPrefix(lib.Version(), "1.") {
		t.Errorf("version %q", lib.Version())
	}
	if _, err := Open(Config{Library: lib.Library()}); err == nil {
		t.Error("a second runtime was opened")
	}
}
