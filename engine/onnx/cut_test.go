package onnx_test

import (
	"fmt"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/onnx"
)

// TestCut cuts a graph of equal blocks: their parts are one graph, and each value that a part reads is an input or was written before.
func TestCut(t *testing.T) {
	t.Parallel()
	const blocks = 5
	g, err := onnx.Build("net", func(g *onnx.Graph) error {
		x := g.Input("x", dtype.F32, onnx.Sym("B"), onnx.Sym("S"), onnx.D(4))
		weight := func(name string) *onnx.Value { return g.Weight(name, dtype.F32, []int{4, 4}, nil) }
		first := g.MatMulT(x, weight("in.weight"))
		y := g.Mul(first, g.Scalar(dtype.F32, 2))
		for i := range blocks {
			z := g.MatMulT(y, weight(fmt.Sprintf("blocks.%d.a", i)))
			z = g.Mul(g.Reshape(z, onnx.Sym("B"), onnx.Sym("S"), onnx.D(2), onnx.D(2)), g.Scalar(dtype.F32, 2))
			z = g.Reshape(z, onnx.Sym("B"), onnx.Sym("S"), onnx.D(4))
			y = g.Add(g.MatMulT(z, weight(fmt.Sprintf("blocks.%d.b", i))), first)
		}
		g.Output("out", g.MatMulT(y, weight("out.weight")))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	parts, err := g.Cut(func(in onnx.Initializer) string { return in.Name[:strings.LastIndex(in.Name, ".")] })
	if err != nil || len(parts) != blocks+2 {
		t.Fatalf("%d parts, want %d: %v", len(parts), blocks+2, err)
	}
	written, weights := map[string]bool{"x": true}, 0
	for i, p := range parts {
		weights += len(p.Weights)
		for input, name := range p.Reads {
			if !written[name] {
				t.Errorf("part %d reads %s as %s before it is written", i, name, input)
			}
		}
		for _, name := range p.Writes {
			written[name] = true
		}
		if len(p.Inputs()) != len(p.Reads)+len(p.Weights) || len(p.Outputs()) != len(p.Writes) || len(p.Initializers()) != 0 {
			t.Errorf("part %d has %d inputs of which %d are weights, reads %v, writes %v", i, len(p.Inputs()), len(p.Weights), p.Reads, p.Writes)
		}
	}
	if !written["out"] || weights != 2*blocks+2 {
		t.Errorf("out was written: %v, %d weights", written["out"], weights)
	}
	for i := 2; i <= blocks; i++ {
		if parts[i].Form != parts[1].Form {
			t.Errorf("the parts of blocks 0 and %d are different graphs", i-1)
		}
	}
	if parts[0].Form == parts[1].Form {
		t.Error("parts of different blocks are one graph")
	}
}
