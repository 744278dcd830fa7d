package weights

import (
	"fmt"
	"math"

	"comfygo/engine/dtype"
)

// narrow describes a small floating-point type: explicit mantissa bits, smallest normal exponent, largest finite
// value, and what larger values become.
type narrow struct {
	mantissa, minExponent int
	largest               float64
	beyond                float32
}

var narrows = map[dtype.DType]narrow{
	dtype.F16:    {10, -14, 65504, float32(math.Inf(1))},
	dtype.BF16:   {7, -126, math.Float64frombits(0x47EFE00000000000), float32(math.Inf(1))},
	dtype.F8E4M3: {3, -6, 448, float32(math.NaN())},
	dtype.F8E5M2: {2, -14, 57344, float32(math.Inf(1))},
}

// Round replaces each value by the nearest one of type d, ties to even: what storing the value in that type and
// reading it back gives (torch's conversions; OCP 8-bit floating point specification for the 8-bit types).
func Round(v []float32, d dtype.DType) error {
	if d == dtype.F32 {
		return nil
	}
	n, ok := narrows[d]
	if !ok {
		return fmt.Errorf("rounding weights to %v: it is no floating-point type for weights", d)
	}
	for i, x := range v {
		v[i] = n.round(x)
	}
	return nil
}

func (n narrow) round(x float32) float32 {
	if x == 0 || x != x || math.IsInf(float64(x), 0) {
		return x
	}
	_, e := math.Frexp(float64(x))
	step := math.Ldexp(1, max(e-1, n.minExponent)-n.mantissa)
	r := math.RoundToEven(float64(x)/step) * step
	if math.Abs(r) > n.largest {
		return float32(math.Copysign(float64(n.beyond), float64(x)))
	}
	return float32(r)
}
