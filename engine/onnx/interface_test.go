package onnx_test

import (
	"slices"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/onnx"
)

// TestInterfaceTellsOutputs derives the shapes of outputs from those of inputs.
func TestInterfaceTellsOutputs(t *testing.T) {
	t.Parallel()
	g, err := onnx.Build("interface", func(g *onnx.Graph) error {
		x := g.Input("x", dtype.F32, onnx.D(1), onnx.Sym("2*T+1"), onnx.Sym("h"))
		y := g.Input("y", dtype.F32, onnx.Sym("h"), onnx.Sym("w*h"))
		g.Parameter("p", dtype.F32, nil, onnx.Sym("r"))
		g.Output("out", g.Concat(1, x, x))
		g.Output("rows", g.Transpose(x, 2, 1, 0))
		g.Output("other", g.Transpose(y, 1, 0))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	i := g.Interface()
	shapes := map[string][]int{"x": {1, 7, 5}, "y": {5, 10}, "p": {3}}
	for name, c := range map[string]struct {
		inputs map[string][]int
		output string
		want   []int // nil if it is unknown
	}{
		"a symbol, and k*symbol+c":       {shapes, "out", []int{1, 14, 5}},
		"moved axes":                     {shapes, "rows", []int{5, 7, 1}},
		"a product of unknowns":          {shapes, "other", nil},
		"no output":                      {shapes, "missing", nil},
		"an input too few":               {map[string][]int{"y": {5, 10}}, "out", nil},
		"a rank that is not the input's": {map[string][]int{"x": {1, 7}}, "out", nil},
		"a size that is not 2*T+1":       {map[string][]int{"x": {1, 8, 5}}, "out", nil},
		"two values of a symbol":         {map[string][]int{"x": {1, 7, 5}, "y": {6, 10}}, "out", nil},
	} {
		got, ok := i.Output(c.output, c.inputs)
		if ok != (c.want != nil) || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %v, want %v", name, got, ok, c.want)
		}
	}
}
