package formula

import (
	"math"
	"math/big"
	"sync"
)

// Functions of floats with the nearest float as their result. Those of Go's math are one place off in up to every second case, which
// shows in print, and log10(1000) would be less than 3; those of C's library, which Python calls, hardly ever are.

// precision is the number of bits that the work is done with.
const precision = 320

func precise(v float64) *big.Float { return new(big.Float).SetPrec(precision).SetFloat64(v) }

func nearest(v *big.Float) float64 {
	f, _ := v.Float64()
	return f
}

func ordinary(x float64) bool { return x != 0 && !math.IsNaN(x) && !math.IsInf(x, 0) }

// series adds up terms, which next makes of their predecessors and numbers from 1 on, until they no longer count.
func series(first *big.Float, next func(term *big.Float, k int)) *big.Float {
	sum, term := new(big.Float).Set(first), new(big.Float).Set(first)
	for k := 1; ; k++ {
		next(term, k)
		if term.Sign() == 0 || term.MantExp(nil) < sum.MantExp(nil)-precision {
			return sum
		}
		sum.Add(sum, term)
	}
}

// arctanOf is that of 1/n for a whole n; sign is 1 for the hyperbolic one and -1 for the other.
func arctanOf(n, sign float64) *big.Float {
	power := new(big.Float).Quo(precise(1), precise(n))
	square := precise(sign * n * n)
	sum := new(big.Float).Set(power)
	for k := 3.0; k < 2*precision; k += 2 {
		power.Quo(power, square)
		sum.Add(sum, new(big.Float).Quo(power, precise(k)))
	}
	return sum
}

var (
	ln2 = sync.OnceValue(func() *big.Float { return new(big.Float).Mul(precise(2), arctanOf(3, 1)) })
	// halfPi is Machin's formula.
	halfPi = sync.OnceValue(func() *big.Float {
		return new(big.Float).Sub(new(big.Float).Mul(precise(8), arctanOf(5, -1)), new(big.Float).Mul(precise(2), arctanOf(239, -1)))
	})
)

// expOf takes numbers whose exponential is a float.
func expOf(x *big.Float) *big.Float {
	const halvings = 16
	turns := math.Round(nearest(x) / math.Ln2)
	rest := new(big.Float).Sub(x, new(big.Float).Mul(precise(turns), ln2()))
	rest.SetMantExp(rest, -halvings)
	sum := series(precise(1), func(term *big.Float, k int) { term.Quo(term.Mul(term, rest), precise(float64(k))) })
	for range halvings {
		sum.Mul(sum, sum)
	}
	return sum.SetMantExp(sum, int(turns))
}

// lnOf betters the float by one of Halley's steps, which makes three right digits of one.
func lnOf(x float64) *big.Float {
	y := precise(math.Log(x))
	e := expOf(y)
	difference, sum := new(big.Float).Sub(precise(x), e), new(big.Float).Add(precise(x), e)
	return y.Add(y, difference.Mul(precise(2), difference.Quo(difference, sum)))
}

func exactLog(x float64) float64 {
	if !ordinary(x) || x < 0 || x == 1 {
		return math.Log(x)
	}
	return nearest(lnOf(x))
}

// exactLogTo returns the logarithm to a base.
func exactLogTo(base float64) func(float64) float64 {
	return func(x float64) float64 {
		if !ordinary(x) || x < 0 || x == 1 {
			return math.Log(x)
		}
		return nearest(new(big.Float).Quo(lnOf(x), lnOf(base)))
	}
}

func exactPow(x, y float64) float64 {
	const least = 1e-300 // below it floats lose places
	z := math.Pow(x, y)
	if !ordinary(x) || !ordinary(y) || !ordinary(z) || math.Abs(x) == 1 || math.Abs(z) < least {
		return z
	}
	return math.Copysign(nearest(expOf(new(big.Float).Mul(precise(y), lnOf(math.Abs(x))))), z)
}

// circle returns sine and cosine.
func circle(x float64) (sin, cos *big.Float) {
	quarters := math.Round(x / (math.Pi / 2))
	r := new(big.Float).Sub(precise(x), new(big.Float).Mul(precise(quarters), halfPi()))
	square := new(big.Float).Mul(r, r)
	step := func(odd int) func(*big.Float, int) {
		return func(term *big.Float, k int) {
			term.Quo(term.Neg(term.Mul(term, square)), precise(float64((2*k-1+odd)*(2*k+odd))))
		}
	}
	sin, cos = series(r, step(1)), series(precise(1), step(0))
	switch int64(quarters) & 3 {
	case 1:
		return cos, sin.Neg(sin)
	case 2:
		return sin.Neg(sin), cos.Neg(cos)
	case 3:
		return cos.Neg(cos), sin
	}
	return sin, cos
}

// ofCircle makes a function of what circle gives; for numbers too large to be reduced with precision it is plain.
func ofCircle(plain func(float64) float64, take func(sin, cos *big.Float) *big.Float) func(float64) float64 {
	return func(x float64) float64 {
		const large = 1 << 52
		if !ordinary(x) || math.Abs(x) > large {
			return plain(x)
		}
		return nearest(take(circle(x)))
	}
}

var (
	exactSin = ofCircle(math.Sin, func(sin, _ *big.Float) *big.Float { return sin })
	exactCos = ofCircle(math.Cos, func(_, cos *big.Float) *big.Float { return cos })
	exactTan = ofCircle(math.Tan, func(sin, cos *big.Float) *big.Float { return new(big.Float).Quo(sin, cos) })
)
