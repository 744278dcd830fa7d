package sampling_test

import (
	"math"
	"testing"

	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
)

// TestTowards pulls predictions towards a latent whose rows repeat: by (sigma/most)^power above the least sigma, not at all below.
func TestTowards(t *testing.T) {
	t.Parallel()
	ref := &tensor.Tensor{Shape: []int{2, 1, 1, 1}, Data: []float32{4, 8}}
	d := &tensor.Tensor{Shape: []int{3, 1, 1, 1}, Data: []float32{0, 0, 2}}
	for name, c := range map[string]struct {
		sigma float32
		want  []float32
	}{
		"the greatest sigma": {10, []float32{4, 8, 4}},
		"half of it":         {5, []float32{1, 2, 2.5}},
		"the least sigma":    {0.5, []float32{0, 0, 2}},
		"above the greatest": {20, []float32{16, 32, 10}},
	} {
		got, err := sampling.Towards(ref, 10, 2, 0.5)(t.Context(), sampling.Guidance{Sigma: c.sigma}, d)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range got.Data {
			if math.Abs(float64(v-c.want[i])) > 1e-6 {
				t.Errorf("%s: %v, want %v", name, got.Data, c.want)
				break
			}
		}
	}
	if _, err := sampling.Towards(ref, 10, 2, 0.5)(t.Context(), sampling.Guidance{Sigma: 1}, tensor.New(1, 1, 2, 1)); err == nil {
		t.Error("a latent of another size is no error")
	}
}
