package image

import (
	"math"
	"sort"
)

// Table samples the curve at n places from 0 to 1.
func (c Curve) Table(n int) []float32 {
	slopes := c.slopes()
	out := make([]float32, n)
	for i := range out {
		x := 0.0
		if n > 1 {
			x = float64(i) / float64(n-1)
		}
		out[i] = float32(c.at(x, slopes))
	}
	return out
}

// at is the curve's value; before the first and behind the last point it is theirs.
func (c Curve) at(x float64, slopes []float64) float64 {
	p, n := c.Points, len(c.Points)
	switch {
	case n == 0:
		return 0
	case n == 1 || x <= p[0][0]:
		return p[0][1]
	case x >= p[n-1][0]:
		return p[n-1][1]
	}
	high := min(max(sort.Search(n, func(i int) bool { return p[i][0] > x }), 1), n-1)
	low := high - 1
	width := p[high][0] - p[low][0]
	if width == 0 {
		return p[low][1]
	}
	t := (x - p[low][0]) / width
	if c.Linear {
		return p[low][1] + t*(p[high][1]-p[low][1])
	}
	t2 := t * t
	t3 := t2 * t
	return (2*t3-3*t2+1)*p[low][1] + (t3-2*t2+t)*width*slopes[low] + (3*t2-2*t3)*p[high][1] + (t3-t2)*width*slopes[high]
}

// slopes are those of the monotone cubic at its points (Fritsch and Carlson, "Monotone Piecewise Cubic Interpolation", 1980).
func (c Curve) slopes() []float64 {
	p, n := c.Points, len(c.Points)
	slopes := make([]float64, n)
	if c.Linear || n < 2 {
		return slopes
	}
	secants := make([]float64, n-1)
	for i := range secants {
		if dx := p[i+1][0] - p[i][0]; dx != 0 {
			secants[i] = (p[i+1][1] - p[i][1]) / dx
		}
	}
	slopes[0], slopes[n-1] = secants[0], secants[n-2]
	for i := 1; i < n-1; i++ {
		if secants[i-1]*secants[i] > 0 {
			slopes[i] = (secants[i-1] + secants[i]) / 2
		}
	}
	for i, s := range secants {
		if s == 0 {
			slopes[i], slopes[i+1] = 0, 0
			continue
		}
		a, b := slopes[i]/s, slopes[i+1]/s
		if square := a*a + b*b; square > 9 {
			t := 3 / math.Sqrt(square)
			slopes[i], slopes[i+1] = t*a*s, t*b*s
		}
	}
	return slopes
}
