package patches

import (
	"testing"

	"comfygo/engine"
	"comfygo/nodes"
)

// TestUnknownAttentionStandsIn runs a workflow that names an unavailable implementation of attention.
func TestUnknownAttentionStandsIn(t *testing.T) {
	t.Parallel()
	m := &engine.Model{}
	n := &ModelAttentionBackend{Model: m, Attention: "comfy kitchen attention"}
	ctx := nodes.TestContext(t.Context(), nodes.Services{})
	if err := n.ValidateInputs(ctx); err != nil {
		t.Error(err)
	}
	r, err := n.Run(ctx)
	if err != nil || r.Values[0] != m {
		t.Errorf("got %v, %v", r.Values, err)
	}
}

func TestNoModelIsAnError(t *testing.T) {
	t.Parallel()
	if _, err := (&UNetSelfAttentionMultiply{}).Run(nodes.TestContext(t.Context(), nodes.Services{})); err == nil {
		t.Error("patching without a model gives no error")
	}
}
