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

// TestResultOf tells weights of video models apart, so that a factor without a layer is told.
func TestResultOf(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"input_blocks.1.1.transformer_blocks.0.attn1.to_out.0.weight": selfStructural, "input_blocks.1.1.transformer_blocks.0.attn2.to_out.0.bias": crossStructural,
		"input_blocks.1.1.time_stack.0.attn1.to_out.0.bias": selfTemporal, "input_blocks.1.1.time_stack.0.attn2.to_out.0.weight": crossTemporal,
		"input_blocks.1.1.time_stack.0.attn1.to_q.weight": "", "out.2.weight": "",
	} {
		if got := resultOf(name); got != want {
			t.Errorf("%s is of %q, want %q", name, got, want)
		}
	}
}
