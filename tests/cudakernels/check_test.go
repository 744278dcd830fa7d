package cudakernels_test

import (
	"fmt"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/onnx"
	"comfygo/tests/cudakernels"
)

func TestFind(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name  string
		t     dtype.DType
		build func(g *onnx.Graph, x *onnx.Value)
		want  string
	}{
		{"convolution", dtype.F16, func(g *onnx.Graph, x *onnx.Value) {
			g.Conv(x, g.Weight("w", dtype.F16, []int{4, 4, 3, 3}, nil), nil, 1, onnx.Pad1())
		}, "[]"},
		{"instance norm at the base opset", dtype.F16, func(g *onnx.Graph, x *onnx.Value) {
			w := g.Weight("w", dtype.F16, []int{4}, nil)
			g.InstanceNorm(x, w, w, 1e-5)
		}, "[]"},
		{"instance norm in bfloat16", dtype.BF16, func(g *onnx.Graph, x *onnx.Value) {
			w := g.Weight("w", dtype.BF16, []int{4}, nil)
			g.InstanceNorm(x, w, w, 1e-5)
		}, "[InstanceNormalization(bfloat16) at opset 21]"},
		{"instance norm beside an operator that raises the opset", dtype.F16, func(g *onnx.Graph, x *onnx.Value) {
			w := g.Weight("w", dtype.F16, []int{4}, nil)
			g.RMSNorm(g.InstanceNorm(x, w, w, 1e-5), g.Weight("s", dtype.F16, []int{1}, nil), 1e-6)
		}, "[InstanceNormalization(float16) at opset 23]"},
		{"an operator of the engine's own", dtype.F16, func(g *onnx.Graph, x *onnx.Value) {
			g.Widen(g.Weight("w", dtype.F16, []int{4}, nil), x)
		}, "[comfygo.Widen(float,float16) at opset 21]"},
		{"shapes may be on the CPU", dtype.F16, func(g *onnx.Graph, x *onnx.Value) {
			g.DimValue(onnx.Sym("floor(B/2)"))
		}, "[]"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g, err := onnx.Build("g", func(g *onnx.Graph) error {
				c.build(g, g.Input("x", c.t, onnx.Sym("B"), onnx.D(4), onnx.Sym("H"), onnx.D(8)))
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			got, err := cudakernels.Find(g)
			if err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(got) != c.want {
				t.Errorf("got %v, want %s", got, c.want)
			}
		})
	}
}
