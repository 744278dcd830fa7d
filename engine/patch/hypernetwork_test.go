package patch_test

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/patch"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/engine/weights/pickle"
)

// hyper writes a hypernetwork's file: change may change its dict.
func hyper(t *testing.T, change func(d *pickle.Dict)) string {
	t.Helper()
	d := &pickle.Dict{}
	d.Set("activation_func", "relu")
	d.Set("name", "a name")
	d.Set(int64(4), []any{hyperNet(4, 6, 0.1), hyperNet(4, 6, 0.2)})
	if change != nil {
		change(d)
	}
	path := filepath.Join(t.TempDir(), "hyper.pt")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := weights.WriteTorch(f, d); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// hyperNet is two linear layers, from in to hidden and back, whose weights are sines.
func hyperNet(in, hidden int, factor float64) *pickle.Dict {
	sines := func(shape ...int) *tensor.Tensor {
		x := tensor.New(shape...)
		for i := range x.Data {
			x.Data[i] = float32(math.Sin(float64(i)+factor) * factor)
		}
		return x
	}
	d := &pickle.Dict{}
	d.Set("linear.0.weight", sines(hidden, in))
	d.Set("linear.0.bias", sines(hidden))
	d.Set("linear.1.weight", sines(in, hidden))
	d.Set("linear.1.bias", sines(in))
	return d
}

func (s *hyperSum) layer(x []float64, in, out int, activate func(float64) float64) []float64 {
	y := make([]float64, out)
	for i := range y {
		y[i] = s.at(i)
		for j := range in {
			y[i] += s.at(i*in+j) * x[j]
		}
		y[i] = activate(y[i])
	}
	return y
}

// hyperSum computes what hyperNet does.
type hyperSum struct{ factor float64 }

func (s *hyperSum) at(i int) float64 {
	return float64(float32(math.Sin(float64(i)+s.factor) * s.factor))
}

// TestHypernetwork compares each activation with plain arithmetic, with and without one after the last layer.
func TestHypernetwork(t *testing.T) {
	t.Parallel()
	const tokens, in, hidden, strength = 3, 4, 6, 0.7
	x := values(t, random(t, "x", dtype.F32, 1, tokens, in))
	src := source(t, "none", random(t, "unused", dtype.F32, 1))
	softplus := func(v float64) float64 { return math.Log1p(math.Exp(v)) }
	for name, f := range map[string]func(v float64) float64{
		"linear":    func(v float64) float64 { return v },
		"relu":      func(v float64) float64 { return max(v, 0) },
		"leakyrelu": func(v float64) float64 { return max(v, 0.01*v) },
		"elu":       func(v float64) float64 { return max(v, 0) + math.Expm1(min(v, 0)) },
		"swish":     func(v float64) float64 { return v * min(max(v/6+0.5, 0), 1) },
		"tanh":      math.Tanh,
		"sigmoid":   func(v float64) float64 { return 1 / (1 + math.Exp(-v)) },
		"softsign":  func(v float64) float64 { return v / (1 + math.Abs(v)) },
		"mish":      func(v float64) float64 { return v * math.Tanh(softplus(v)) },
	} {
		for _, last := range []bool{false, true} {
			h, err := patch.OpenHypernetwork(hyper(t, func(d *pickle.Dict) {
				d.Set("activation_func", name)
				d.Set("activate_output", last)
			}), strength)
			if err != nil {
				t.Fatal(err)
			}
			s := session(t, nn.Target{Compute: dtype.F32}, src, nil, []int{1, tokens, in}, func(b *nn.Builder, _ *weights.Scope, x *onnx.Value) *onnx.Value {
				k, v := h.Context(b, patch.Site{}, x, x)
				return b.Concat(1, k, v)
			})
			var want []float32
			for _, factor := range []float64{0.1, 0.2} {
				sum := &hyperSum{factor}
				for i := range tokens {
					row := make([]float64, in)
					for j := range row {
						row[j] = float64(x[i*in+j])
					}
					final := func(v float64) float64 { return v }
					if last {
						final = f
					}
					y := sum.layer(sum.layer(row, in, hidden, f), hidden, in, final)
					for j, v := range y {
						want = append(want, float32(row[j]+v*strength))
					}
				}
			}
			near(t, name, compute(t, s, x, []int{1, tokens, in}, nil), want)
		}
	}
}

// TestHypernetworkLeavesOtherWidths: values of other widths than those of the file stay unchanged.
func TestHypernetworkLeavesOtherWidths(t *testing.T) {
	t.Parallel()
	h, err := patch.OpenHypernetwork(hyper(t, nil), 1)
	if err != nil {
		t.Fatal(err)
	}
	if got := h.Widths(); !slices.Equal(got, []int{4}) {
		t.Errorf("widths are %v", got)
	}
	_, err = onnx.Build("test", func(g *onnx.Graph) error {
		b := &nn.Builder{Graph: g, Target: nn.Target{Compute: dtype.F32}}
		x := g.Input("x", dtype.F32, onnx.Dims(1, 3, 5)...)
		if k, v := h.Context(b, patch.Site{}, x, x); k != x || v != x {
			t.Error("an input of another width is changed")
		}
		g.Output("y", x)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestWrongHypernetworks: files without a hypernetwork, or with layers that do not fit, return errors with the file and the
// reason.
func TestWrongHypernetworks(t *testing.T) {
	t.Parallel()
	first := func(d *pickle.Dict) *pickle.Dict { return d.Values[2].([]any)[0].(*pickle.Dict) }
	for want, change := range map[string]func(d *pickle.Dict){
		`activation "gelu" is not known`:   func(d *pickle.Dict) { d.Set("activation_func", "gelu") },
		"activation_func is no text":       func(d *pickle.Dict) { d.Set("activation_func", int64(3)) },
		"no pair of networks":              func(d *pickle.Dict) { d.Set(int64(4), []any{hyperNet(4, 6, 0.1)}) },
		"is no dict":                       func(d *pickle.Dict) { d.Set(int64(4), []any{int64(1), int64(2)}) },
		"there is no width among its keys": func(d *pickle.Dict) { *d = pickle.Dict{} },
		"it reads a width of 8":            func(d *pickle.Dict) { d.Set(int64(8), []any{hyperNet(4, 6, 0.1), hyperNet(4, 6, 0.1)}) },
		"linear.1.bias is missing":         func(d *pickle.Dict) { first(d).Set("linear.1.bias", "text") },
		"it gives a width of 6": func(d *pickle.Dict) {
			first(d).Set("linear.1.weight", tensor.New(6, 6))
			first(d).Set("linear.1.bias", tensor.New(6))
		},
		"weights are not finite numbers": func(d *pickle.Dict) {
			x := tensor.New(6, 4)
			x.Data[5] = float32(math.NaN())
			first(d).Set("linear.0.weight", x)
		},
		"it has 3 layers": func(d *pickle.Dict) {
			d.Set("is_layer_norm", true)
			first(d).Set("linear.2.weight", tensor.New(4))
		},
	} {
		_, err := patch.OpenHypernetwork(hyper(t, change), 1)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "hyper.pt") {
			t.Errorf("%v, wanted %q with the file's name", err, want)
		}
	}
	if _, err := patch.OpenHypernetwork(filepath.Join(t.TempDir(), "none.pt"), 1); err == nil {
		t.Error("a missing file is accepted")
	}
}
