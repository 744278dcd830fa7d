package latent_test

import (
	"testing"

	"comfygo/engine"
	"comfygo/nodes"
	"comfygo/nodes/latent"
)

// TestPatchSeamSmoothing: without a share or a range the model is given on, and without a model there is an error.
func TestPatchSeamSmoothing(t *testing.T) {
	t.Parallel()
	m := &engine.Model{}
	for _, n := range []latent.HiDreamO1PatchSeamSmoothing{{Model: m, End: 1}, {Model: m, Strength: 1, Start: 0.5, End: 0.5}} {
		r, err := n.Run(nodes.TestContext(t.Context(), nodes.Services{}))
		if err != nil || r.Values[0] != m {
			t.Errorf("%+v: %v, %v", n, r, err)
		}
	}
	if _, err := (&latent.HiDreamO1PatchSeamSmoothing{Strength: 1, End: 1}).Run(nodes.TestContext(t.Context(), nodes.Services{})); err == nil {
		t.Error("no model: no error")
	}
}
