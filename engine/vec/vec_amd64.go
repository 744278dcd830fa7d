package vec

import "golang.org/x/sys/cpu"

// vectors reports that the CPU has what vec_amd64.s uses.
var vectors = cpu.X86.HasAVX2

// fused reports that the CPU multiplies and adds in one operation.
var fused = cpu.X86.HasAVX2 && cpu.X86.HasFMA

// halves reports that the CPU converts 16-bit floats.
var halves = cpu.X86.HasAVX2 && cpu.X86.HasF16C

// stride is the number of values per iteration of the loops.
const stride = 16

//go:noescape
func scaleVector(out, a *float32, turns int, f float32)

//go:noescape
func addScaledVector(out, a *float32, turns int, f float32)

//go:noescape
func divideVector(out, a *float32, turns int, d float32)

//go:noescape
func slopeVector(out, a, b *float32, turns int, d float32)

//go:noescape
func addProductsVector(out, a, b *float32, turns int)

//go:noescape
func quotientsVector(out, a, b *float32, turns int)

//go:noescape
func subtractFromVector(out, a *float32, turns int, f float32)

//go:noescape
func maxVector(out, a, b *float32, turns int)

//go:noescape
func minVector(out, a, b *float32, turns int)

//go:noescape
func addBothVector(out, a, b *float32, turns int, f float32)

// productVector computes four rows of a product, tiles times 16 columns of them.
//
//go:noescape
func productVector(out, a, b *float32, n, k, tiles int)

//go:noescape
func halvesVector(out *float32, src *byte, turns int) (done int)

// interleave16Vector takes eight words of each plane a turn.
//
//go:noescape
func interleave16Vector(out *float32, a, b, c *byte, turns int, f float32)

// finiteVector returns a number that is not zero when a value is NaN or infinite.
//
//go:noescape
func finiteVector(a *float32, turns int) uint32

// turns is the number of iterations of the loops for n values.
func turns(n int) int {
	if !vectors {
		return 0
	}
	return n / stride
}

func scaleRun(out, a []float32, f float32) int {
	n := turns(len(out))
	if n > 0 {
		scaleVector(&out[0], &a[0], n, f)
	}
	return n * stride
}

func addScaledRun(out, a []float32, f float32) int {
	n := turns(len(out))
	if n > 0 {
		addScaledVector(&out[0], &a[0], n, f)
	}
	return n * stride
}

func divideRun(out, a []float32, d float32) int {
	n := turns(len(out))
	if n > 0 {
		divideVector(&out[0], &a[0], n, d)
	}
	return n * stride
}

func slopeRun(out, a, b []float32, d float32) int {
	n := turns(len(out))
	if n > 0 {
		slopeVector(&out[0], &a[0], &b[0], n, d)
	}
	return n * stride
}

func addProductsRun(out, a, b []float32) int {
	n := turns(len(out))
	if n > 0 {
		addProductsVector(&out[0], &a[0], &b[0], n)
	}
	return n * stride
}

func quotientsRun(out, a, b []float32) int {
	n := turns(len(out))
	if n > 0 {
		quotientsVector(&out[0], &a[0], &b[0], n)
	}
	return n * stride
}

func subtractFromRun(out, a []float32, f float32) int {
	n := turns(len(out))
	if n > 0 {
		subtractFromVector(&out[0], &a[0], n, f)
	}
	return n * stride
}

func maxRun(out, a, b []float32) int {
	n := turns(len(out))
	if n > 0 {
		maxVector(&out[0], &a[0], &b[0], n)
	}
	return n * stride
}

func minRun(out, a, b []float32) int {
	n := turns(len(out))
	if n > 0 {
		minVector(&out[0], &a[0], &b[0], n)
	}
	return n * stride
}

func interleave16Run(out []float32, a, b, c []byte, f float32) int {
	const words = 8
	n := len(out) / 3 / words
	if !vectors || n == 0 {
		return 0
	}
	interleave16Vector(&out[0], &a[0], &b[0], &c[0], n, f)
	return n * words
}

func finiteRun(a []float32) (int, bool) {
	n := turns(len(a))
	if n == 0 {
		return 0, true
	}
	return n * stride, finiteVector(&a[0], n) == 0
}

func addBothRun(out, a, b []float32, f float32) int {
	n := turns(len(out))
	if n > 0 {
		addBothVector(&out[0], &a[0], &b[0], n, f)
	}
	return n * stride
}

func productRun(out, a, b []float32, n, k int) int {
	tiles := n / stride
	if !fused || tiles == 0 || k == 0 {
		return 0
	}
	productVector(&out[0], &a[0], &b[0], n, k, tiles)
	return tiles * stride
}

func halvesRun(out []float32, src []byte) int {
	n := len(out) / stride
	if !halves || n == 0 {
		return 0
	}
	return halvesVector(&out[0], &src[0], n) * stride
}

//go:noescape
func filterVector(out, in, w *float32, n, outStep, inStep, eights int)

func filterRun(out, in, w []float32, n, outStep, inStep int) bool {
	if fused {
		filterVector(&out[0], &in[0], &w[0], n, outStep, inStep, len(w)/8)
	}
	return fused
}
