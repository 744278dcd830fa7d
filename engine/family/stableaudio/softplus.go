package stableaudio

import "math"

// softplus is log(1+e^x), without overflow.
func softplus(x float64) float64 {
	const far = 20
	if x > far {
		return x
	}
	return math.Log1p(math.Exp(x))
}
