package ort

import (
	"fmt"
	"syscall"
	"testing"

	"comfygo/engine/dtype"
)

// rate runs a session and reports products and sums of a second of CPU time, which other work on the machine changes least.
func rate(b *testing.B, s *Session, values map[string]Value, operations int) {
	b.Helper()
	var spent float64
	for b.Loop() {
		before := cpuSeconds(b)
		if _, err := s.Run(b.Context(), values, nil); err != nil {
			b.Fatal(err)
		}
		spent += cpuSeconds(b) - before
	}
	b.ReportMetric(float64(operations)*float64(b.N)/spent/1e9, "GFLOP/s")
}

// cpuSeconds is the CPU time of the process so far.
func cpuSeconds(b *testing.B) float64 {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// each runs a benchmark with all kernels of this CPU.
func each(b *testing.B, name string, run func(b *testing.B)) {
	b.Helper()
	for kernels, level := range widths {
		limitVectors(level)
		if Kernels() == kernels {
			b.Run(name+"/"+kernels, run)
		}
		limitVectors(0)
	}
}

// besides makes a session of ONNX Runtime's operator for float32 weights, as it packs them itself, on one thread.
func (o *operands) besides(b *testing.B, node wireNode, weightDims []int) (*Session, map[string]Value) {
	b.Helper()
	g := graph{
		nodes:   []wireNode{node},
		inline:  []wireTensor{{name: "w", dims: int64s(weightDims), data: o.weight}}, // ONNX Runtime reads weights that it reorders from their file
		inputs:  []wireTensor{tensorOf("x", int64s(o.xDims)...)},
		outputs: []wireTensor{{name: "y", open: true}},
	}
	spec := g.spec(node.op)
	spec.Threads, spec.Prepack, spec.OptLevel = 1, true, OptAll
	return newSession(b, spec), map[string]Value{"x": Floats(o.x, o.xDims...)}
}

// BenchmarkLinear multiplies by the weights of float16 beside ONNX Runtime's MatMul by weights of float32. Sizes are those of Stable Diffusion and SDXL.
func BenchmarkLinear(b *testing.B) {
	for _, c := range []struct{ rows, depth, cols int }{{2048, 320, 320}, {512, 640, 640}, {2048, 640, 5120}, {2048, 1280, 1280}, {2048, 1280, 10240}, {2048, 5120, 1280}, {128, 1280, 1280}} {
		o := operands{weightDims: []int{c.cols, c.depth}, xDims: []int{c.rows, c.depth}, dtype: dtype.F16, threads: 1}
		o.fill(false, false)
		operations := 2 * c.rows * c.depth * c.cols
		each(b, fmt.Sprint(c), func(b *testing.B) {
			s, values := o.session(b, "Linear", map[string][]int64{"gated": {0}, "remember": {0}, "narrow": {0}})
			rate(b, s, values, operations)
		})
		if HasInt8() {
			b.Run(fmt.Sprint(c, "/int8"), func(b *testing.B) {
				s, values := o.session(b, "Linear", map[string][]int64{"gated": {0}, "remember": {0}, "narrow": {1}})
				rate(b, s, values, operations)
			})
		}
		if HasBfloat16() {
			b.Run(fmt.Sprint(c, "/bfloat16"), func(b *testing.B) {
				s, values := o.session(b, "Linear", map[string][]int64{"gated": {0}, "remember": {0}, "narrow": {2}})
				rate(b, s, values, operations)
			})
		}
		b.Run(fmt.Sprint(c, "/library"), func(b *testing.B) {
			s, values := o.besides(b, nodeOf("MatMul", []string{"x", "w"}, []string{"y"}), []int{c.depth, c.cols})
			rate(b, s, values, operations)
		})
	}
}

// BenchmarkConv3x3 convolves beside ONNX Runtime's Conv. The rate counts the products of the plain sum.
func BenchmarkConv3x3(b *testing.B) {
	for _, c := range []struct{ batch, in, out, side int }{{2, 320, 320, 32}, {2, 640, 640, 16}, {2, 1280, 1280, 8}, {2, 1280, 1280, 4}, {2, 320, 320, 64}, {1, 512, 512, 64}, {1, 128, 128, 256}} {
		o := operands{weightDims: []int{c.out, c.in, 3, 3}, xDims: []int{c.batch, c.in, c.side, c.side}, dtype: dtype.F16, threads: 1}
		o.fill(false, false)
		operations := 2 * 9 * c.batch * c.in * c.out * c.side * c.side
		each(b, fmt.Sprint(c), func(b *testing.B) {
			s, values := o.session(b, "Conv3x3", nil)
			rate(b, s, values, operations)
		})
		if HasBfloat16() {
			for name, form := range map[string]int64{"bfloat16": 2, "coarse": 3} {
				b.Run(fmt.Sprint(c, "/", name), func(b *testing.B) {
					s, values := o.session(b, "Conv3x3", map[string][]int64{"narrow": {form}})
					rate(b, s, values, operations)
				})
			}
		}
		b.Run(fmt.Sprint(c, "/library"), func(b *testing.B) {
			node := nodeOf("Conv", []string{"x", "w"}, []string{"y"})
			node.ints = map[string][]int64{"pads": {1, 1, 1, 1}}
			s, values := o.besides(b, node, o.weightDims)
			rate(b, s, values, operations)
		})
	}
}
