package torchrand_test

import (
	"slices"
	"testing"

	"comfygo/engine/torchrand"
)

// TestSobol3IsTorchs compares the first points with torch.quasirandom.SobolEngine(3, scramble=True, seed=123).draw(6).
func TestSobol3IsTorchs(t *testing.T) {
	t.Parallel()
	want := []float32{
		0.09025132656097412, 0.5811105370521545, 0.4077436923980713, 0.7700406312942505, 0.24629266560077667, 0.6401962041854858,
		0.6336019039154053, 0.7657466530799866, 0.040996696799993515, 0.43762874603271484, 0.4366661012172699, 0.757763147354126,
		0.3353308439254761, 0.9191896319389343, 0.5311235785484314, 0.5308214426040649, 0.2524206042289734, 0.2986711859703064,
	}
	if got := torchrand.Sobol3(123, 6); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
