//go:build !arm64

package torchrand

import "math"

// fma returns a*b+c rounded once. The product of two float32 is exact in float64; the sum is rounded there first, which
// only matters where it then lies half way between two float32.
func fma(a, b, c float32) float32 {
	sum := float64(a)*float64(b) + float64(c)
	if uint32(math.Float64bits(sum))<<3 == 1<<31 {
		sum = tie(a, b, c)
	}
	return float32(sum)
}

// tie returns a*b+c, which in float64 lies half way between two float32, moved to the side of what was lost there.
func tie(a, b, c float32) float64 {
	product := float64(a) * float64(b)
	sum := product + float64(c)
	part := sum - product
	lost := (product - (sum - part)) + (float64(c) - part)
	bits := math.Float64bits(sum)
	if lost != 0 && (lost > 0) == (sum > 0) {
		bits++
	} else if lost != 0 {
		bits--
	}
	return math.Float64frombits(bits)
}
