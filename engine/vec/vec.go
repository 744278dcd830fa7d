// Package vec is the arithmetic of long float32 vectors, each operation but Product rounded by itself as torch rounds it: a product is never
// fused into a sum. All slices of a call are as long as the first.
//
// It knows no tensors and no shapes.
package vec

import "encoding/binary"

// Scale sets out to f*a.
func Scale(out, a []float32, f float32) {
	a = a[:len(out)]
	for i := scaleRun(out, a, f); i < len(out); i++ {
		out[i] = f * a[i]
	}
}

// AddScaled adds f*a to out.
func AddScaled(out, a []float32, f float32) {
	a = a[:len(out)]
	for i := addScaledRun(out, a, f); i < len(out); i++ {
		out[i] += float32(f * a[i])
	}
}

// Divide sets out to a/d.
func Divide(out, a []float32, d float32) {
	a = a[:len(out)]
	for i := divideRun(out, a, d); i < len(out); i++ {
		out[i] = a[i] / d
	}
}

// Slope sets out to (a-b)/d.
func Slope(out, a, b []float32, d float32) {
	a, b = a[:len(out)], b[:len(out)]
	for i := slopeRun(out, a, b, d); i < len(out); i++ {
		out[i] = (a[i] - b[i]) / d
	}
}

// AddProducts adds a*b, value by value, to out.
func AddProducts(out, a, b []float32) {
	a, b = a[:len(out)], b[:len(out)]
	for i := addProductsRun(out, a, b); i < len(out); i++ {
		out[i] += float32(a[i] * b[i])
	}
}

// Quotients sets out to a/b, value by value.
func Quotients(out, a, b []float32) {
	a, b = a[:len(out)], b[:len(out)]
	for i := quotientsRun(out, a, b); i < len(out); i++ {
		out[i] = a[i] / b[i]
	}
}

// SubtractFrom sets out to f-a.
func SubtractFrom(out, a []float32, f float32) {
	a = a[:len(out)]
	for i := subtractFromRun(out, a, f); i < len(out); i++ {
		out[i] = f - a[i]
	}
}

// Max sets out to the greater one of a and b, value by value, and to NaN where one of them is. out may be a, which may lie before b in the same
// array.
func Max(out, a, b []float32) {
	a, b = a[:len(out)], b[:len(out)]
	for i := maxRun(out, a, b); i < len(out); i++ {
		out[i] = max(a[i], b[i])
	}
}

// Min is Max for the lesser one.
func Min(out, a, b []float32) {
	a, b = a[:len(out)], b[:len(out)]
	for i := minRun(out, a, b); i < len(out); i++ {
		out[i] = min(a[i], b[i])
	}
}

// Interleave16 sets out to the values of three planes in turn, each times f: the first values of all, then the second ones and so on. A plane has
// a third of the values of out, as 16-bit little-endian words.
func Interleave16(out []float32, a, b, c []byte, f float32) {
	n := len(out) / 3
	a, b, c = a[:2*n], b[:2*n], c[:2*n]
	for i := interleave16Run(out, a, b, c, f); i < n; i++ {
		out[3*i] = float32(int32(binary.LittleEndian.Uint16(a[2*i:]))) * f
		out[3*i+1] = float32(int32(binary.LittleEndian.Uint16(b[2*i:]))) * f
		out[3*i+2] = float32(int32(binary.LittleEndian.Uint16(c[2*i:]))) * f
	}
}

// Finite reports whether all values are numbers, neither NaN nor infinite.
func Finite(a []float32) bool {
	n, fine := finiteRun(a)
	for _, v := range a[n:] {
		d := v - v
		fine = fine && d == 0
	}
	return fine
}
