package nn_test

import (
	"math"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/ort"
	"comfygo/engine/weights"
	"comfygo/tests/golden"
	"comfygo/tests/graphtest"
)

// TestLinearLayersInInt8 computes layers of weights that are stored in several types in 8-bit integers and in float32, from the same
// file. The result is off by one or two hundredths (see testLinearInt8 in engine/ort), which also shows that integers were used.
func TestLinearLayersInInt8(t *testing.T) {
	t.Parallel()
	if !graphtest.HasLinear() || !ort.HasInt8() {
		t.Skip("this CPU has neither VNNI nor AVX2")
	}
	const rows, in, out = 65, 300, 40
	x := golden.Normal("int8/x", rows, in)
	type layer func(b *nn.Builder, s *weights.Scope, x *onnx.Value) *onnx.Value
	plain := func(b *nn.Builder, s *weights.Scope, x *onnx.Value) *onnx.Value { return b.Linear(s, x, out) }
	for name, c := range map[string]struct {
		stored dtype.DType
		layer  layer
	}{
		"float32": {dtype.F32, plain},
		"float16": {dtype.F16, plain},
		"float8":  {dtype.F8E4M3, plain},
		"gated":   {dtype.BF16, func(b *nn.Builder, s *weights.Scope, x *onnx.Value) *onnx.Value { return b.LinearGated(s, x, out/2) }},
		"once":    {dtype.F16, func(b *nn.Builder, s *weights.Scope, x *onnx.Value) *onnx.Value { return b.LinearOnce(s, x, out) }},
		"rows": {dtype.F16, func(b *nn.Builder, s *weights.Scope, x *onnx.Value) *onnx.Value {
			return b.LinearRows(s, x, out, 8, 24)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := weights.Entry{Name: "l.weight", DType: c.stored, Shape: []int{out, in}, Data: make([]byte, out*in*c.stored.Size())}
			if c.stored == dtype.F8E4M3 {
				for i := range w.Data {
					w.Data[i] = byte(0x30 + i*7%16 | i%2<<7) // 0.5 to 1.875 of both signs
				}
			} else if err := weights.FromFloat32(w.Data, golden.Normal("int8/w", out, in).Data, c.stored); err != nil {
				t.Fatal(err)
			}
			src, err := weights.Memory("file", w)
			if err != nil {
				t.Fatal(err)
			}
			run := func(int8 bool) []float32 {
				target := nn.Target{Compute: dtype.F32, Linear: true, Lean: true, Int8: int8}
				y := graphtest.Compute(t, []graphtest.Feed{graphtest.Fixed(graphtest.Array{Data: x.Data, Shape: x.Shape})}, func(g *onnx.Graph, in []*onnx.Value) *onnx.Value {
					return c.layer(&nn.Builder{Graph: g, Target: target}, weights.NewScope(src).At("l"), in[0])
				})
				return y.Data
			}
			exact, got := run(false), run(true)
			var off, square float64
			for i, v := range exact {
				off += math.Pow(float64(got[i]-v), 2)
				square += math.Pow(float64(v), 2)
			}
			if r := math.Sqrt(off / square); !(r > 1e-3 && r < 0.025) {
				t.Errorf("the layer is off by %.4f of its root mean square, want 0.01 to 0.02", r)
			}
		})
	}
}
