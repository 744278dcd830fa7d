package nn_test

import (
	"strconv"
	"testing"

	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/ort"
	"comfygo/engine/weights"
	"comfygo/tests/graphtest"
)

// TestRouted sums the experts of each token; the third of four has no token, and the first has them all.
func TestRouted(t *testing.T) {
	t.Parallel()
	const rows, tokens, width, k, n = 2, 3, 4, 2, 4
	x, factors := graphtest.Random(rows, tokens, width), graphtest.Random(rows, tokens, k)
	numbers := []int64{0, 1, 3, 0, 0, 3, 1, 0, 0, 1, 3, 0}
	file := stored{}
	for i := range n {
		file[strconv.Itoa(i)+".weight"] = graphtest.Random(width, width)
	}
	want := graphtest.Filled([]int{rows, tokens, width}, func(o []int) float32 {
		var sum float32
		for j := range k {
			w := file[strconv.Itoa(int(numbers[(o[0]*tokens+o[1])*k+j]))+".weight"]
			var y float32
			for c := range width {
				y += w.At(o[2], c) * x.At(o[0], o[1], c)
			}
			sum += y * factors.At(o[0], o[1], j)
		}
		return sum
	})
	feeds := []graphtest.Feed{
		graphtest.Symbolic(x, "B", "T", "4"), graphtest.Symbolic(factors, "B", "T", "2"),
		{Value: ort.Ints(numbers, rows, tokens, k), Shape: onnx.Shape{onnx.Sym("B"), onnx.Sym("T"), onnx.D(k)}},
	}
	compute(t, file, feeds, want, func(b *nn.Builder, s *weights.Scope, in []*onnx.Value) *onnx.Value {
		y := b.Routed(in[0], in[2], in[1], n, func(i int, x *onnx.Value) *onnx.Value { return b.Linear(s.Index(i), x, width) })
		peak, err := b.Peak(map[string]int{"B": rows, "T": tokens})
		if err != nil || peak < 4*rows*tokens*width {
			t.Errorf("an estimate of %d bytes: %v", peak, err)
		}
		return y
	})
}
