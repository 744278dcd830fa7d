package patch_test

import (
	"fmt"
	"testing"

	"comfygo/engine/patch"
)

// TestPatchesDrawLayerByLayer: patches draw random numbers in the order in which the layers run and, in a layer, in their own order; a
// layer whose positions are no longer those of the latent merges none and draws nothing (upstream: torch's one generator).
func TestPatchesDrawLayerByLayer(t *testing.T) {
	t.Parallel()
	latent, half := patch.Grid{Height: 4, Width: 8}, patch.Grid{Height: 2, Width: 4}
	merge, tile := patch.MergeTokens{Ratio: 0.5}, patch.HyperTile{Tile: 2, Swap: 3, Depth: 1}
	for name, c := range map[string]struct {
		patches patch.GraphPatches
		layers  []patch.Grid
		draws   int
		inputs  int
	}{
		// Eight squares in each layer at the latent's resolution.
		"merging":                   {patch.GraphPatches{merge}, []patch.Grid{latent, half, latent}, 16, 4},
		"merging, scaled inside":    {patch.GraphPatches{merge}, []patch.Grid{latent, half, half}, 8, 2},
		"tiles":                     {patch.GraphPatches{tile}, []patch.Grid{latent, half}, 3, 0},
		"tiles of merged positions": {patch.GraphPatches{merge, tile}, []patch.Grid{latent, half}, 9, 2},
		"merging in tiles":          {patch.GraphPatches{tile, merge}, []patch.Grid{latent, half}, 3, 0},
	} {
		draws := 0
		placed := c.patches.On(latent, func() []patch.Grid { return c.layers }, func() uint32 {
			draws++
			return 0
		})
		if draws != c.draws || len(placed.Inputs()) != c.inputs {
			t.Errorf("%s: %d draws and %d inputs, want %d and %d", name, draws, len(placed.Inputs()), c.draws, c.inputs)
		}
	}
}

// TestShrunkSizes: a scaled block passes its size on, and what scales it up again acts only beside it.
func TestShrunkSizes(t *testing.T) {
	t.Parallel()
	always := patch.SigmaRange{Low: 0, High: 10}
	shrink := patch.Shrink{SigmaRange: always, Index: 1, Factor: 2, Method: "bicubic", AfterSkip: true}
	late := patch.Shrink{SigmaRange: patch.SigmaRange{Low: 20, High: 30}, Index: 2, Factor: 2, Method: "area"}
	patches := patch.GraphPatches{shrink, patch.Grow{Method: "bicubic"}, late, patch.Grow{Method: "area"}}
	for sigma, want := range map[float32]string{
		5:  "{2 4} {5 7} {5 7}", // halves round to even
		25: "{5 7} {5 7} {2 4}",
		15: "{5 7} {5 7} {5 7}",
	} {
		acting := patches.For(patch.Call{Sigma: sigma})
		from := patch.Grid{Height: 5, Width: 7}
		got := fmt.Sprint(acting.Resized(patch.InputSkip, 1, from), acting.Resized(patch.InputBlock, 1, from), acting.Resized(patch.InputBlock, 2, from))
		if got != want || len(acting) != map[bool]int{true: 0, false: 3}[sigma == 15] {
			t.Errorf("sigma %g: sizes %s of %d patches, want %s", sigma, got, len(acting), want)
		}
	}
}
