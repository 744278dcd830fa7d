package onnx_test

import (
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/onnx"
)

// TestPeakCountsWhatIsAlive counts the memory of small graphs: values of n float32, and inputs twice.
func TestPeakCountsWhatIsAlive(t *testing.T) {
	t.Parallel()
	const n = 1 << 20
	const value = 4 * n
	wide := func(g *onnx.Graph, x *onnx.Value) *onnx.Value { return g.Transpose(x, 1, 0) } // not in place
	for name, c := range map[string]struct {
		write func(g *onnx.Graph, x *onnx.Value)
		want  int64 // in values
	}{
		"one result":                 {func(g *onnx.Graph, x *onnx.Value) { g.Output("out", wide(g, x)) }, 1},
		"what is read is given back": {func(g *onnx.Graph, x *onnx.Value) { g.Output("out", wide(g, wide(g, wide(g, wide(g, x))))) }, 2},
		"in place": {func(g *onnx.Graph, x *onnx.Value) {
			g.Output("out", g.Mul(g.Add(wide(g, x), g.Scalar(dtype.F32, 1)), g.Scalar(dtype.F32, 2)))
		}, 1},
		"a norm beside its operand": {func(g *onnx.Graph, x *onnx.Value) {
			gain := g.Floats(make([]float32, n/4), n/4)
			g.Output("out", g.GroupNorm(wide(g, wide(g, x)), gain, gain, nil, 1, 1e-5, true))
		}, 2},
		"both are read later": {func(g *onnx.Graph, x *onnx.Value) {
			a, b := wide(g, x), wide(g, x)
			g.Output("out", g.Concat(1, a, b))
		}, 4},
	} {
		g, err := onnx.Build(name, func(g *onnx.Graph) error {
			c.write(g, g.Input("x", dtype.F32, onnx.Sym("N"), onnx.D(n/4)))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := g.Peak(map[string]int{"N": 4})
		if want := (2 + c.want) * value; err != nil || got != want {
			t.Errorf("%s: %d bytes, want %d: %v", name, got, want, err)
		}
		if _, err := g.Peak(nil); err == nil {
			t.Errorf("%s: a symbol without a value was taken", name)
		}
	}
}

// TestPeakOfSums counts convolutions that are added up in the memory of the first one.
func TestPeakOfSums(t *testing.T) {
	t.Parallel()
	peak := func(convolutions int) int64 {
		g, err := onnx.Build("sums", func(g *onnx.Graph) error {
			x, w := g.Input("x", dtype.F32, onnx.Dims(1, 4, 256, 256)...), g.Input("w", dtype.F32, onnx.Dims(4, 4, 3, 3)...)
			var y *onnx.Value
			for range convolutions {
				y = g.Conv3x3(onnx.ConvFloat32, x, w, nil, y)
			}
			g.Output("out", y)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		n, err := g.Peak(nil)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if one, four := peak(1), peak(4); one != four {
		t.Errorf("%d bytes for one, %d for four", one, four)
	}
}
