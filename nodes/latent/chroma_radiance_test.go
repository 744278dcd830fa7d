package latent_test

import (
	"testing"

	"comfygo/engine"
	"comfygo/engine/family/radiance"
	"comfygo/nodes"
	"comfygo/nodes/latent"
)

// TestChromaRadianceOptions: options of two nodes follow each other unless the second one drops the first one's, and a node that sets none
// returns the model unchanged.
func TestChromaRadianceOptions(t *testing.T) {
	t.Parallel()
	run := func(n latent.ChromaRadianceOptions) *engine.Model {
		t.Helper()
		r, err := n.Run(nodes.TestContext(t.Context(), nodes.Services{}))
		if err != nil {
			t.Fatal(err)
		}
		return r.Values[0].(*engine.Model)
	}
	list := func(m *engine.Model) []radiance.Options {
		l, _ := m.Options()[radiance.Option].([]radiance.Options)
		return l
	}
	m := &engine.Model{}
	if got := run(latent.ChromaRadianceOptions{Model: m, StartSigma: 1, NerfTileSize: -1}); got != m {
		t.Error("a node without options changes the model")
	}
	first := run(latent.ChromaRadianceOptions{Model: m, StartSigma: 1, NerfTileSize: 32})
	both := run(latent.ChromaRadianceOptions{Model: first, PreserveWrapper: true, StartSigma: 0.5, NerfTileSize: -1, ForceSequentialTxtIds: true})
	second := run(latent.ChromaRadianceOptions{Model: first, StartSigma: 0.5, NerfTileSize: 0})
	if l := list(both); len(l) != 2 || !l[0].Sequential || l[1].Tile != 32 || len(list(second)) != 1 || list(second)[0].Tile != 0 || len(list(first)) != 1 {
		t.Errorf("%+v, %+v, %+v", list(first), l, list(second))
	}
	if _, err := (&latent.ChromaRadianceOptions{}).Run(nodes.TestContext(t.Context(), nodes.Services{})); err == nil {
		t.Error("no model: no error")
	}
}
