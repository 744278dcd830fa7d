package sampling

import (
	"math"
	"sort"
)

// betaRanks returns, for each q in 0…1, the nearest whole number to n times the quantile of the beta distribution with
// parameters a and b. It evaluates the distribution function at the n borders between ranks, so a large number of steps
// costs little.
func betaRanks(qs []float64, a, b float64, n int) []int {
	borders := make([]float64, n) // from rank k to k+1
	for k := range borders {
		borders[k] = betaCDF((float64(k)+0.5)/float64(n), a, b)
	}
	out := make([]int, len(qs))
	for i, q := range qs {
		if out[i] = n; q < 1 {
			out[i] = sort.SearchFloat64s(borders, q)
		}
	}
	return out
}

// betaCDF returns the regularised incomplete beta function I_x(a,b) by its continued fraction (Abramowitz and Stegun,
// 26.5.8).
func betaCDF(x, a, b float64) float64 {
	if x <= 0 {
		return 0
	}
	if x >= 1 {
		return 1
	}
	la, _ := math.Lgamma(a)
	lb, _ := math.Lgamma(b)
	lab, _ := math.Lgamma(a + b)
	front := math.Exp(lab - la - lb + a*math.Log(x) + b*math.Log1p(-x))
	if x < (a+1)/(a+b+2) {
		return front * betaFraction(x, a, b) / a
	}
	return 1 - front*betaFraction(1-x, b, a)/b
}

// betaFraction evaluates the continued fraction by Lentz's method.
func betaFraction(x, a, b float64) float64 {
	const tiny = 1e-300
	keep := func(v float64) float64 {
		if math.Abs(v) < tiny {
			return tiny
		}
		return v
	}
	c, d := 1.0, 1/keep(1-(a+b)*x/(a+1))
	h := d
	for i := 1; i <= 300; i++ {
		m := float64(i)
		even := m * (b - m) * x / ((a + 2*m - 1) * (a + 2*m))
		d = 1 / keep(1+even*d)
		c = keep(1 + even/c)
		h *= d * c
		odd := -(a + m) * (a + b + m) * x / ((a + 2*m) * (a + 2*m + 1))
		d = 1 / keep(1+odd*d)
		c = keep(1 + odd/c)
		step := d * c
		h *= step
		if math.Abs(step-1) < 1e-16 {
			break
		}
	}
	return h
}
