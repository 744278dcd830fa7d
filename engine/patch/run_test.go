package patch_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"
	"unsafe"

	"comfygo/engine/dtype"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/ort"
	"comfygo/engine/patch"
	"comfygo/engine/weights"
	"comfygo/internal/ortlib"
)

// lib runs the graphs of these tests; a process can have no more than one.
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

// random returns a tensor of normal numbers that depend on name and shape alone.
func random(t *testing.T, name string, d dtype.DType, shape ...int) weights.Entry {
	t.Helper()
	n, seed := 1, uint64(len(name))
	for _, b := range []byte(name) {
		seed = seed*131 + uint64(b)
	}
	for _, d := range shape {
		n *= d
	}
	r := rand.New(rand.NewPCG(seed, uint64(n)))
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return stored(t, name, d, v, shape...)
}

func stored(t *testing.T, name string, d dtype.DType, v []float32, shape ...int) weights.Entry {
	t.Helper()
	data := make([]byte, len(v)*d.Size())
	if err := weights.FromFloat32(data, v, d); err != nil {
		t.Fatal(err)
	}
	return weights.Entry{Name: name, DType: d, Shape: shape, Data: data}
}

func source(t *testing.T, path string, es ...weights.Entry) weights.Source {
	t.Helper()
	src, err := weights.Memory(path, es...)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func values(t *testing.T, e weights.Entry) []float32 {
	t.Helper()
	v, err := weights.Float32s(e)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// shapes looks the shapes of a part's weights up.
func shapes(part string, src weights.Source) func(key string) []int {
	return func(key string) []int {
		if len(key) < len(part) {
			return nil
		}
		e, ok := src.Lookup(key[len(part):])
		if !ok {
			return nil
		}
		return e.Shape
	}
}

// write makes the graph's result from its input.
type write func(b *nn.Builder, s *weights.Scope, x *onnx.Value) *onnx.Value

// made is a session with the parameters of its graph.
type made struct {
	*ort.Session
	parameters []onnx.Parameter
}

// session builds a graph over src with the input x of the given shape, B, H and W being symbols in images.
func session(t *testing.T, target nn.Target, src weights.Source, adapters *patch.Adapters, shape []int, w write) *made {
	t.Helper()
	g, err := onnx.Build("test", func(g *onnx.Graph) error {
		b := &nn.Builder{Graph: g, Target: target}
		if adapters != nil {
			b.Adapters = adapters
		}
		dims := onnx.Dims(shape...)
		dims[0] = onnx.Sym("B")
		if len(shape) == 4 {
			dims[2], dims[3] = onnx.Sym("H"), onnx.Sym("W")
		}
		s := weights.NewScope(src)
		g.Output("y", g.Cast(w(b, s, g.Cast(g.Input("x", dtype.F32, dims...), target.Compute)), dtype.F32))
		return s.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := adapters.Err(); err != nil {
		t.Fatal(err)
	}
	model, err := g.Marshal(func(in onnx.Initializer) (onnx.Placement, error) {
		return onnx.Placement{Inline: bytesOf(t, in.Source.(nn.Source))}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := lib.NewSession(t.Context(), ort.SessionSpec{Name: "test", Model: model, Threads: 1, OptLevel: ort.OptExtended})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return &made{s, g.Parameters()}
}

// bytesOf returns a source's bytes, made as the engine makes them.
func bytesOf(t *testing.T, s nn.Source) []byte {
	t.Helper()
	if e, ok := s.InPlace(); ok {
		return e.Data
	}
	words := make([]uint64, (s.Size()+7)/8)
	dst := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), s.Size())
	for i := range dst {
		dst[i] = 0xaa // a forgotten element shows
	}
	for _, task := range s.Tasks(dst, nn.Kernels{Reads: ort.CanWiden, Widen: ort.Widen, Block: ort.Block, Transpose: ort.Transpose}) {
		if err := task(); err != nil {
			t.Fatal(err)
		}
	}
	return dst
}

// compute runs a session on x with the factors and strengths of adapters, which may be nil.
func compute(t *testing.T, s *made, x []float32, shape []int, adapters *patch.Adapters) []float32 {
	t.Helper()
	in := map[string]ort.Value{"x": ort.Floats(x, shape...)}
	for _, p := range s.parameters {
		f := p.Source.(nn.Factor)
		if f.IsStrength() {
			data, dims, err := f.Strengths(adapters)
			if err != nil {
				t.Fatal(err)
			}
			in[p.Name] = ort.Value{DType: p.DType, Shape: dims, Data: data}
			continue
		}
		src, dims, err := f.Source(adapters)
		if err != nil {
			t.Fatal(err)
		}
		in[p.Name] = ort.Value{DType: p.DType, Shape: dims, Data: bytesOf(t, src)}
	}
	out, err := s.Run(t.Context(), in, []string{"y"})
	if err != nil {
		t.Fatal(err)
	}
	y, err := out["y"].Float32s()
	if err != nil {
		t.Fatal(err)
	}
	return append([]float32(nil), y...)
}

// near compares relative to the root mean square of want: float32 sums in another order differ by a few units of the last
// place of their terms, which 3e-6 leaves room for at the sizes of these tests.
func near(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	var sum float64
	for _, v := range want {
		sum += float64(v) * float64(v)
	}
	rms := math.Sqrt(sum / float64(len(want)))
	for i, v := range want {
		if d := math.Abs(float64(got[i] - v)); !(d <= 2e-5*rms) {
			t.Fatalf("%s: value %d is %v, want %v (rms %.3g)", what, i, got[i], v, rms)
		}
	}
}
