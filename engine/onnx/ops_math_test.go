package onnx_test

import (
	"math"
	"slices"
	"sort"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/onnx"
	"comfygo/engine/ort"
)

func TestElementwise(t *testing.T) {
	t.Parallel()
	x := random(2, 3, 4)
	positive := filled(x.Shape, func(o []int) float32 { return float32(math.Abs(float64(x.Data[x.Offset(o...)]))) + 0.1 })
	cases := []struct {
		name  string
		x     array
		build func(g *onnx.Graph, x *onnx.Value) *onnx.Value
		want  func(v float64) float64
	}{
		{"sin", x, (*onnx.Graph).Sin, math.Sin},
		{"cos", x, (*onnx.Graph).Cos, math.Cos},
		{"exp", x, (*onnx.Graph).Exp, math.Exp},
		{"log", positive, (*onnx.Graph).Log, math.Log},
		{"sqrt", positive, (*onnx.Graph).Sqrt, math.Sqrt},
		{"tanh", x, (*onnx.Graph).Tanh, math.Tanh},
		{"neg", x, (*onnx.Graph).Neg, func(v float64) float64 { return -v }},
		{"abs", x, (*onnx.Graph).Abs, math.Abs},
		{"softplus", x, (*onnx.Graph).Softplus, func(v float64) float64 { return math.Log1p(math.Exp(v)) }},
		{"silu", x, (*onnx.Graph).SiLU, func(v float64) float64 { return v / (1 + math.Exp(-v)) }},
		{"clip", x, func(g *onnx.Graph, x *onnx.Value) *onnx.Value { return g.Clip(x, -0.5, 0.25) }, func(v float64) float64 { return max(-0.5, min(v, 0.25)) }},
		{"gelu", x, func(g *onnx.Graph, x *onnx.Value) *onnx.Value { return g.Gelu(x, false) }, func(v float64) float64 { return v / 2 * (1 + math.Erf(v/math.Sqrt2)) }},
		{"gelu tanh", x, func(g *onnx.Graph, x *onnx.Value) *onnx.Value { return g.Gelu(x, true) }, geluTanh},
		{"pow", positive, func(g *onnx.Graph, x *onnx.Value) *onnx.Value { return g.Pow(x, g.Scalar(dtype.F32, 1.5)) }, func(v float64) float64 { return math.Pow(v, 1.5) }},
		{"min and max", x, func(g *onnx.Graph, x *onnx.Value) *onnx.Value {
			return g.Max(g.Min(x, g.Scalar(dtype.F32, 0.5)), g.Scalar(dtype.F32, -1))
		}, func(v float64) float64 { return max(min(v, 0.5), -1) }},
		{"where", x, func(g *onnx.Graph, x *onnx.Value) *onnx.Value {
			zero := g.Scalar(dtype.F32, 0)
			return g.Where(g.Greater(x, zero), x, g.Where(g.Less(x, g.Scalar(dtype.F32, -1)), zero, g.Neg(x)))
		}, func(v float64) float64 {
			if v < -1 {
				return 0
			}
			return math.Abs(v)
		}},
		{"equal", x, func(g *onnx.Graph, x *onnx.Value) *onnx.Value { return g.Cast(g.Equal(x, x), dtype.F32) }, func(float64) float64 { return 1 }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := compute(t, []feed{symbolic(c.x, "B", "T", "4")}, func(g *onnx.Graph, in []*onnx.Value) *onnx.Value { return c.build(g, in[0]) })
			same(t, got, filled(c.x.Shape, func(o []int) float32 { return float32(c.want(float64(c.x.Data[c.x.Offset(o...)]))) }))
		})
	}
}

func geluTanh(v float64) float64 {
	return v / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(v+0.044715*v*v*v)))
}

// fold gathers, for each place of x [A,B,C] with axes 1 and 2 folded, all elements.
func fold(x array, f func(v []float64) float64) array {
	return filled([]int{x.Shape[0]}, func(o []int) float32 {
		var all []float64
		n := x.Shape[1] * x.Shape[2]
		for _, v := range x.Data[o[0]*n : (o[0]+1)*n] {
			all = append(all, float64(v))
		}
		return float32(f(all))
	})
}

func TestReduce(t *testing.T) {
	t.Parallel()
	x := random(3, 4, 5)
	sum := func(v []float64) float64 {
		s := 0.0
		for _, e := range v {
			s += e
		}
		return s
	}
	cases := map[string]struct {
		op   func(g *onnx.Graph, x *onnx.Value, keep bool, axes ...int) *onnx.Value
		want func(v []float64) float64
	}{
		"mean": {(*onnx.Graph).ReduceMean, func(v []float64) float64 { return sum(v) / float64(len(v)) }},
		"sum":  {(*onnx.Graph).ReduceSum, sum},
		"max":  {(*onnx.Graph).ReduceMax, slices.Max[[]float64]},
		"min":  {(*onnx.Graph).ReduceMin, slices.Min[[]float64]},
		"l2": {(*onnx.Graph).ReduceL2, func(v []float64) float64 {
			s := 0.0
			for _, e := range v {
				s += e * e
			}
			return math.Sqrt(s)
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			feeds := []feed{symbolic(x, "B", "T", "5")}
			want := fold(x, c.want)
			same(t, compute(t, feeds, func(g *onnx.Graph, in []*onnx.Value) *onnx.Value { return c.op(g, in[0], false, 1, -1) }), want)
			want.Shape = []int{3, 1, 1}
			same(t, compute(t, feeds, func(g *onnx.Graph, in []*onnx.Value) *onnx.Value { return c.op(g, in[0], true, 1, 2) }), want)
		})
	}
}

func TestSoftmaxAndCumSum(t *testing.T) {
	t.Parallel()
	x := random(2, 3, 5)
	feeds := []feed{symbolic(x, "B", "T", "5")}
	got := compute(t, feeds, func(g *onnx.Graph, in []*onnx.Value) *onnx.Value { return g.Softmax(in[0], -1) })
	same(t, got, filled(x.Shape, func(o []int) float32 {
		sum := 0.0
		for i := range 5 {
			sum += math.Exp(float64(x.Data[x.Offset(o[0], o[1], i)]))
		}
		return float32(math.Exp(float64(x.Data[x.Offset(o...)])) / sum)
	}))
	got = compute(t, feeds, func(g *onnx.Graph, in []*onnx.Value) *onnx.Value { return g.CumSum(in[0], 1) })
	same(t, got, filled(x.Shape, func(o []int) float32 {
		var sum float32
		for i := range o[1] + 1 {
			sum += x.Data[x.Offset(o[0], i, o[2])]
		}
		return sum
	}))
}

func TestTopK(t *testing.T) {
	t.Parallel()
	x := random(3, 8)
	feeds := []feed{symbolic(x, "B", "8")}
	sorted := func(row int) []int {
		order := []int{0, 1, 2, 3, 4, 5, 6, 7}
		sort.Slice(order, func(i, j int) bool { return x.Data[x.Offset(row, order[i])] > x.Data[x.Offset(row, order[j])] })
		return order
	}
	values := compute(t, feeds, func(g *onnx.Graph, in []*onnx.Value) *onnx.Value { v, _ := g.TopK(in[0], -1, 3); return v })
	same(t, values, filled([]int{3, 3}, func(o []int) float32 { return x.Data[x.Offset(o[0], sorted(o[0])[o[1]])] }))
	indices := compute(t, feeds, func(g *onnx.Graph, in []*onnx.Value) *onnx.Value { _, i := g.TopK(in[0], -1, 3); return i })
	same(t, indices, filled([]int{3, 3}, func(o []int) float32 { return float32(sorted(o[0])[o[1]]) }))
}

func TestGatherAndScatter(t *testing.T) {
	t.Parallel()
	x := random(4, 5, 3)
	index := []int64{3, 0, 2, 2}
	got := compute(t, []feed{symbolic(x, "A", "T", "3"), ints(index, 2, 2)}, func(g *onnx.Graph, in []*onnx.Value) *onnx.Value {
		return g.GatherAxis(in[0], in[1], 1)
	})
	same(t, got, filled([]int{4, 2, 2, 3}, func(o []int) float32 { return x.Data[x.Offset(o[0], int(index[2*o[1]+o[2]]), o[3])] }))

	rows := random(2, 3)
	got = compute(t, []feed{symbolic(x, "A", "T", "3"), ints([]int64{3, 1, 0, 4}, 2, 2), fixed(rows)}, func(g *onnx.Graph, in []*onnx.Value) *onnx.Value {
		return g.ScatterND(in[0], in[1], in[2])
	})
	want := array{Shape: x.Shape, Data: slices.Clone(x.Data)}
	copy(want.Data[want.Offset(3, 1, 0):], rows.Data[:3])
	copy(want.Data[want.Offset(0, 4, 0):], rows.Data[3:])
	same(t, got, want)

	picks := []int64{1, 0, 4, 2, 3, 3}
	flat := array{Shape: []int{2, 5}, Data: x.Data[:10]}
	got = compute(t, []feed{symbolic(flat, "B", "5"), {Value: ort.Ints(picks, 2, 3), Shape: onnx.Shape{onnx.Sym("B"), onnx.D(3)}}}, func(g *onnx.Graph, in []*onnx.Value) *onnx.Value {
		return g.GatherElements(in[0], in[1], 1)
	})
	same(t, got, filled([]int{2, 3}, func(o []int) float32 { return flat.Data[flat.Offset(o[0], int(picks[3*o[0]+o[1]]))] }))
}

func TestMatMulBroadcasts(t *testing.T) {
	t.Parallel()
	a, b := random(1, 3, 2, 4), random(2, 1, 4, 5)
	got := compute(t, []feed{symbolic(a, "1", "N", "S", "4"), symbolic(b, "B", "1", "4", "5")}, func(g *onnx.Graph, in []*onnx.Value) *onnx.Value {
		return g.MatMul(in[0], in[1])
	})
	same(t, got, filled([]int{2, 3, 2, 5}, func(o []int) float32 {
		var sum float32
		for i := range 4 {
			sum += a.Data[a.Offset(0, o[1], o[2], i)] * b.Data[b.Offset(o[0], 0, i, o[3])]
		}
		return sum
	}))
}

func TestNorms(t *testing.T) {
	t.Parallel()
	x, scale, shift := random(2, 3, 8), random(2, 1, 8), random(2, 1, 8)
	moments := func(b, s int) (mean, variance, square float64) {
		for i := range 8 {
			v := float64(x.Data[x.Offset(b, s, i)])
			mean, square = mean+v/8, square+v*v/8
		}
		return mean, square - mean*mean, square
	}
	feeds := []feed{symbolic(x, "B", "S", "8"), symbolic(scale, "B", "1", "8"), symbolic(shift, "B", "1", "8")}
	got := compute(t, feeds, func(g *onnx.Graph, in []*onnx.Value) *onnx.Value { return g.LayerNorm(in[0], in[1], in[2], 1e-5) })
	same(t, got, filled(x.Shape, func(o []int) float32 {
		mean, variance, _ := moments(o[0], o[1])
		n := (float64(x.Data[x.Offset(o...)]) - mean) / math.Sqrt(variance+1e-5)
		return float32(n)*scale.Data[scale.Offset(o[0], 0, o[2])] + shift.Data[shift.Offset(o[0], 0, o[2])]
	}))
	got = compute(t, feeds[:1], func(g *onnx.Graph, in []*onnx.Value) *onnx.Value { return g.LayerNormPlain(in[0], 1e-6) })
	same(t, got, filled(x.Shape, func(o []int) float32 {
		mean, variance, _ := moments(o[0], o[1])
		return float32((float64(x.Data[x.Offset(o...)]) - mean) / math.Sqrt(variance+1e-6))
	}))
	gain := random(8)
	got = compute(t, []feed{feeds[0], fixed(gain)}, func(g *onnx.Graph, in []*onnx.Value) *onnx.Value { return g.RMSNorm(in[0], in[1], 1e-6) })
	same(t, got, filled(x.Shape, func(o []int) float32 {
		_, _, square := moments(o[0], o[1])
		return float32(float64(x.Data[x.Offset(o...)])/math.Sqrt(square+1e-6)) * gain.Data[o[2]]
	}))
}

func TestRMSNormWithoutScale(t *testing.T) {
	t.Parallel()
	x := random(2, 3, 8)
	got := compute(t, []feed{symbolic(x, "B", "S", "C")}, func(g *onnx.Graph, in []*onnx.Value) *onnx.Value { return g.RMSNorm(in[0], nil, 1e-6) })
	same(t, compute(t, []feed{symbolic(x, "B", "S", "8")}, func(g *onnx.Graph, in []*onnx.Value) *onnx.Value { return g.RMSNorm(in[0], nil, 1e-6) }), got)
	same(t, got, filled(x.Shape, func(o []int) float32 {
		square := 0.0
		for i := range 8 {
			v := float64(x.At(o[0], o[1], i))
			square += v * v / 8
		}
		return float32(float64(x.At(o...)) / math.Sqrt(square+1e-6))
	}))
}

func TestOpsetFollowsTheOperators(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		t     dtype.DType
		build func(g *onnx.Graph, x *onnx.Value)
		want  int
	}{
		"plain":         {dtype.F16, func(g *onnx.Graph, x *onnx.Value) { g.Sin(x) }, 21},
		"bfloat16 sine": {dtype.BF16, func(g *onnx.Graph, x *onnx.Value) { g.Sin(x) }, 22},
		"rms":           {dtype.F16, func(g *onnx.Graph, x *onnx.Value) { g.RMSNorm(x, g.Cast(g.Floats([]float32{1}, 1), dtype.F16), 1e-6) }, 23},
	}
	for name, c := range cases {
		g, err := onnx.Build("g", func(g *onnx.Graph) error {
			c.build(g, g.Input("x", c.t, onnx.Dims(1, 2, 4)...))
			return nil
		})
		if err != nil || g.Opset() != c.want {
			t.Errorf("%s: %v, %v, want opset %d", name, g.Opset(), err, c.want)
		}
	}
}

// TestGridSample compares places inside, on and beyond the border with torch's rule.
func TestGridSample(t *testing.T) {
	t.Parallel()
	x, grid := random(2, 3, 4, 5), random(2, 3, 2, 2)
	for i := range grid.Data {
		grid.Data[i] *= 1.5
	}
	for _, corners := range []bool{true, false} {
		place := func(v float32, n int) (from int, part float64) {
			at := (float64(v)+1)/2*float64(n) - 0.5
			if corners {
				at = (float64(v) + 1) / 2 * float64(n-1)
			}
			at = min(max(at, 0), float64(n-1))
			from = min(int(at), n-2)
			return from, at - float64(from)
		}
		got := compute(t, []feed{symbolic(x, "B", "3", "H", "W"), symbolic(grid, "B", "h", "w", "2")}, func(g *onnx.Graph, in []*onnx.Value) *onnx.Value {
			return g.GridSample(in[0], in[1], corners, onnx.Edge)
		})
		same(t, got, filled([]int{2, 3, 3, 2}, func(o []int) float32 {
			at := grid.Data[grid.Offset(o[0], o[2], o[3], 0):]
			column, right := place(at[0], 5)
			row, down := place(at[1], 4)
			value := func(dy, dx int) float64 { return float64(x.Data[x.Offset(o[0], o[1], row+dy, column+dx)]) }
			return float32((value(0, 0)*(1-right)+value(0, 1)*right)*(1-down) + (value(1, 0)*(1-right)+value(1, 1)*right)*down)
		}))
	}
}
