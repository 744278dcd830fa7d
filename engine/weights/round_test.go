package weights_test

import (
	"math"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/weights"
)

// TestRoundAgreesWithStoring compares rounding with storing and reading back, over all magnitudes that matter.
func TestRoundAgreesWithStoring(t *testing.T) {
	t.Parallel()
	var values []float32
	for e := -30; e < 18; e++ {
		for m := range 97 {
			x := float32(math.Ldexp(1+float64(m)/97, e))
			values = append(values, x, -x)
		}
	}
	for d, back := range map[dtype.DType]func(float32) float32{
		dtype.F16:  func(x float32) float32 { return weights.F16ToF32(weights.F32ToF16(x)) },
		dtype.BF16: func(x float32) float32 { return weights.BF16ToF32(weights.F32ToBF16(x)) },
	} {
		got := append([]float32(nil), values...)
		if err := weights.Round(got, d); err != nil {
			t.Fatal(err)
		}
		for i, x := range values {
			if want := back(x); got[i] != want {
				t.Fatalf("%v: %v becomes %v, want %v", d, x, got[i], want)
			}
		}
	}
}

func TestRoundToEightBits(t *testing.T) {
	t.Parallel()
	cases := []struct {
		d       dtype.DType
		x, want float32
	}{
		{dtype.F8E4M3, 1.0625, 1},
		{dtype.F8E4M3, 1.1875, 1.25},
		{dtype.F8E4M3, 448, 448},
		{dtype.F8E4M3, 460, 448},
		{dtype.F8E4M3, 0.0009, 0},
		{dtype.F8E4M3, 0.001, 0.001953125},
		{dtype.F8E4M3, -0.0625, -0.0625},
		{dtype.F8E5M2, 1.125, 1},
		{dtype.F8E5M2, 1.375, 1.5},
		{dtype.F8E5M2, 57344, 57344},
		{dtype.F8E5M2, 70000, float32(math.Inf(1))},
	}
	for _, c := range cases {
		v := []float32{c.x}
		if err := weights.Round(v, c.d); err != nil || v[0] != c.want {
			t.Errorf("%v in %v becomes %v (%v), want %v", c.x, c.d, v[0], err, c.want)
		}
	}
	v := []float32{500}
	if err := weights.Round(v, dtype.F8E4M3); err != nil || v[0] == v[0] {
		t.Errorf("500 in F8_E4M3 becomes %v (%v), want NaN", v[0], err)
	}
	if weights.Round(v, dtype.I8) == nil {
		t.Error("rounding to integers is no error")
	}
}
