package ort

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"comfygo/engine/dtype"
)

// widths are the levels of limitVectors for the kernels that Kernels names, emulated and emulatedVectors those of AMX and AVX512-BF16 in portable code.
var widths = map[string]int{"AVX2": 2, "AVX-512": 3, withAMX: 0, withBF16: 0}

const (
	emulated        = 4
	emulatedVectors = 5

	withAMX  = "AMX with AVX-512"
	withBF16 = "AVX512-BF16 with AVX-512"
)

// TestKernels tests the engine's own operators with each width of vectors. Not parallel: the instruction set is the process's.
func TestKernels(t *testing.T) {
	for name, level := range widths {
		limitVectors(level)
		t.Run(name, func(t *testing.T) {
			if Kernels() != name {
				t.Skipf("this CPU has no %s", name)
			}
			for name, test := range map[string]func(*testing.T){
				"Linear": testLinear, "remembers": testLinearRemembers, "remembers at once": testLinearRemembersAtOnce, "limit": testKeptResultsHaveALimit,
				"Conv3x3": testConv3x3, "any size": testConv3x3OfAnySize, "adds": testConv3x3Adds, "GroupNorm": testGroupNorm,
			} {
				t.Run(name, test)
			}
		})
		limitVectors(0) // after the parallel tests of this width
	}
}

// TestInt8Kernels tests products of 8-bit integers with the kernels of this CPU, and with those for AVX2. Not parallel: the
// instruction set is the process's.
func TestInt8Kernels(t *testing.T) {
	if !HasInt8() {
		t.Skip("this CPU has neither VNNI nor AVX2")
	}
	for _, level := range []int{0, widths["AVX2"]} {
		limitVectors(level)
		t.Run(Int8Kernels(), func(t *testing.T) {
			t.Run("Linear", testLinearInt8)
			t.Run("edges", testLinearInt8Edges)
		})
		limitVectors(0) // after the parallel tests of these kernels
	}
}

// TestKernelsAgree checks that both widths of vectors give the same bits. Not parallel: the instruction set is the process's.
func TestKernelsAgree(t *testing.T) {
	defer limitVectors(0)
	limitVectors(widths["AVX-512"])
	if Kernels() != "AVX-512" {
		t.Skip("this CPU has no AVX-512")
	}
	for name, run := range map[string]func() []float32{
		"Linear": func() []float32 {
			o := operands{weightDims: []int{70, 300}, xDims: []int{25, 300}, biasDims: []int{70}, dtype: dtype.F16}
			o.fill(true, false)
			return o.run(t, "Linear", map[string][]int64{"gated": {1}, "remember": {0}, "narrow": {0}})
		},
		"Conv3x3": func() []float32 {
			o := operands{weightDims: []int{50, 200, 3, 3}, xDims: []int{1, 200, 17, 19}, biasDims: []int{50}, dtype: dtype.BF16}
			o.fill(true, false)
			return o.run(t, "Conv3x3", nil)
		},
		"GroupNorm": func() []float32 { return newNorm([]int{2, 6, 67, 66}, 3, true).run(t) },
	} {
		limitVectors(widths["AVX-512"])
		wide := run()
		limitVectors(widths["AVX2"])
		if !slices.Equal(wide, run()) {
			t.Errorf("%s differs between AVX-512 and AVX2", name)
		}
	}
}

// normed are the operands of GroupNorm.
type normed struct {
	x, weight, bias, shift []float32
	dims                   []int
	groups                 int
	silu                   bool
}

// newNorm makes operands with numbers far from a mean of zero.
func newNorm(dims []int, groups int, silu bool) *normed {
	var o operands
	o.weightDims, o.xDims, o.biasDims, o.sumDims = dims[1:2], dims, dims[1:2], dims[:2]
	o.fill(true, true)
	for i := range o.x {
		o.x[i] = 20*o.x[i] + 30
	}
	return &normed{o.x, o.weight, o.bias, o.sum, dims, groups, silu}
}

func (n *normed) run(t *testing.T) []float32 {
	t.Helper()
	silu := int64(0)
	if n.silu {
		silu = 1
	}
	g := graph{
		inputs: []wireTensor{
			tensorOf("x", int64s(n.dims)...), tensorOf("weight", int64(n.dims[1])), tensorOf("bias", int64(n.dims[1])), tensorOf("shift", int64s(n.dims[:2])...),
		},
		outputs: []wireTensor{{name: "y", open: true}},
		nodes: []wireNode{{
			op: "GroupNorm", domain: "comfygo", in: []string{"x", "weight", "bias", "shift"}, out: []string{"y"},
			ints: map[string][]int64{"groups": {int64(n.groups)}, "silu": {silu}}, floats: map[string]float32{"epsilon": 1e-5},
		}},
	}
	return compute(t, newSession(t, g.spec("norm")), map[string]Value{
		"x": Floats(n.x, n.dims...), "weight": Floats(n.weight, n.dims[1]), "bias": Floats(n.bias, n.dims[1]), "shift": Floats(n.shift, n.dims[:2]...),
	})
}

// want is the norm in float64.
func (n *normed) want() []float64 {
	channels, plane := n.dims[1], len(n.x)/(n.dims[0]*n.dims[1])
	size := channels / n.groups * plane
	out := make([]float64, len(n.x))
	for from := 0; from < len(n.x); from += size {
		var sum, square float64
		for i := range size {
			v := float64(n.x[from+i]) + float64(n.shift[(from+i)/plane])
			sum += v
			square += v * v
		}
		mean := sum / float64(size)
		scale := 1 / math.Sqrt(square/float64(size)-mean*mean+1e-5)
		for i := from; i < from+size; i++ {
			channel := i / plane % channels
			v := (float64(n.x[i])+float64(n.shift[i/plane])-mean)*scale*float64(n.weight[channel]) + float64(n.bias[channel])
			if n.silu {
				v /= 1 + math.Exp(-v)
			}
			out[i] = v
		}
	}
	return out
}

// testGroupNorm compares with float64, where the values of a channel fill vectors and where they do not.
func testGroupNorm(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		dims   []int
		groups int
		silu   bool
	}{
		{[]int{2, 6, 3, 4}, 2, false},
		{[]int{1, 4, 70}, 4, true},
		{[]int{2, 6, 67, 66}, 3, true},
		{[]int{3, 8, 1, 1}, 2, true},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			t.Parallel()
			n := newNorm(c.dims, c.groups, c.silu)
			near(t, n.run(t), n.want(), 2e-5)
		})
	}
}
