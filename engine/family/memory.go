package family

import "math"

// Product multiplies sizes, stopping at the largest number there is instead of wrapping around.
func Product(ns ...int) int64 {
	p := int64(1)
	for _, n := range ns {
		if n > 0 && p > math.MaxInt64/int64(n) {
			return math.MaxInt64
		}
		p *= int64(n)
	}
	return p
}
