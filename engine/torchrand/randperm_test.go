package torchrand_test

import (
	"slices"
	"testing"

	"comfygo/engine/torchrand"
)

// TestRandpermIsTorchs compares two permutations in a row with torch's: torch.manual_seed(0); torch.randperm(10), torch.randperm(4).
func TestRandpermIsTorchs(t *testing.T) {
	t.Parallel()
	g := torchrand.New(0)
	for _, want := range [][]int{{4, 1, 7, 5, 3, 9, 0, 8, 6, 2}, {3, 0, 2, 1}, {}} {
		if got := g.Randperm(len(want)); !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
}
