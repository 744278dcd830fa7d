package sampling

import "math"

// Sigmas are float32, as torch keeps them, and each operation rounds to float32. These functions take the float64
// result and round once, which is within an ulp of torch's own.

func log32(x float32) float32    { return float32(math.Log(float64(x))) }
func exp32(x float32) float32    { return float32(math.Exp(float64(x))) }
func expm132(x float32) float32  { return float32(math.Expm1(float64(x))) }
func sqrt32(x float32) float32   { return float32(math.Sqrt(float64(x))) }
func pow32(x, y float32) float32 { return float32(math.Pow(float64(x), float64(y))) }
func tan32(x float32) float32    { return float32(math.Tan(float64(x))) }
func abs32(x float32) float32    { return float32(math.Abs(float64(x))) }

// closeTo is Python's math.isclose.
func closeTo(a, b, rel, abs float64) bool {
	return a == b || math.Abs(a-b) <= max(rel*max(math.Abs(a), math.Abs(b)), abs)
}

// linspace returns n values from start to end with torch's rounding: the first half counted from the start, the second
// from the end.
func linspace(start, end float32, n int) []float32 {
	out := make([]float32, n)
	if n == 1 {
		out[0] = start
		return out
	}
	step := (end - start) / float32(n-1)
	for i := range out {
		if i < n/2 {
			out[i] = start + float32(step*float32(i))
		} else {
			out[i] = end - float32(step*float32(n-1-i))
		}
	}
	return out
}

// linspace64 is linspace in float64.
func linspace64(start, end float64, n int) []float64 {
	out := make([]float64, n)
	step := (end - start) / float64(n-1)
	for i := range out {
		if i < n/2 {
			out[i] = start + float64(step*float64(i))
		} else {
			out[i] = end - float64(step*float64(n-1-i))
		}
	}
	return out
}
