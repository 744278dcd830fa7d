package onnx_test

import (
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/onnx"
)

// TestCutSteady cuts the projection of a text out of a graph.
func TestCutSteady(t *testing.T) {
	t.Parallel()
	write := func(product bool) *onnx.Graph {
		g, err := onnx.Build("net", func(g *onnx.Graph) error {
			x := g.Input("x", dtype.F32, onnx.Sym("B"), onnx.Sym("S"), onnx.D(4))
			text := g.Input("text", dtype.F32, onnx.Sym("B"), onnx.Sym("T"), onnx.D(4))
			k := g.Mul(text, g.Scalar(dtype.F32, 2))
			if product {
				k = g.MatMulT(k, g.Weight("to_k", dtype.F32, []int{4, 4}, nil))
			}
			q := g.MatMulT(x, g.Weight("to_q", dtype.F32, []int{4, 4}, nil))
			y := g.MultiHeadAttention(q, k, k, nil, 1, 1, false)
			g.Output("out", g.Mul(y, g.Scalar(dtype.F32, 2)))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	steady := func(name string) bool { return name == "text" }
	g := write(false)
	before := g.Nodes()
	if g.CutSteady(steady) != nil || g.Nodes() != before {
		t.Error("a graph without a product of the text was cut")
	}
	g = write(true)
	once := g.CutSteady(steady)
	if once == nil {
		t.Fatal("the projection was not cut out")
	}
	names := func(vs []*onnx.Value) (out []string) {
		for _, v := range vs {
			out = append(out, v.Name)
		}
		return out
	}
	if in, out := names(once.Inputs()), names(once.Outputs()); len(in) != 1 || in[0] != "text" || len(out) != 1 || once.Nodes() != 2 || once.Initializers()[0].Name != "to_k" {
		t.Errorf("cut out: %v to %v by %d operators", in, out, once.Nodes())
	}
	if in := names(g.Inputs()); len(in) != 2 || in[0] != "x" || in[1] != once.Outputs()[0].Name || g.Nodes() != before-1 || len(g.Initializers()) != 1 {
		t.Errorf("left: inputs %v, %d operators, %d weights", in, g.Nodes(), len(g.Initializers()))
	}
	for _, part := range []*onnx.Graph{g, once} {
		if _, err := part.Marshal(func(onnx.Initializer) (onnx.Placement, error) { return onnx.Placement{Inline: make([]byte, 64)}, nil }); err != nil {
			t.Error(err)
		}
	}
	shape, ok := once.Interface().Output(once.Outputs()[0].Name, map[string][]int{"text": {2, 7, 4}})
	if !ok || shape[1] != 7 {
		t.Errorf("the result has the shape %v", shape)
	}
}
