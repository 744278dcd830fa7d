package latent_test

import (
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/nodes"
	"comfygo/nodes/latent"
)

// TestSongErrors checks what the classes say about missing encoders and bad figures.
func TestSongErrors(t *testing.T) {
	t.Parallel()
	ctx := nodes.TestContext(t.Context(), nodes.Services{})
	for says, n := range map[string]nodes.Node{
		"there is no text encoder":  &latent.TextEncodeAceStepAudio{Tags: "piano"},
		"no text encoder. A checkp": &latent.TextEncodeAceStepAudio15{Tags: "piano", Beats: "4"},
		`timesignature is "three"`:  &latent.TextEncodeAceStepAudio15{CLIP: &engine.CLIP{}, Beats: "three"},
	} {
		if _, err := n.Run(ctx); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v; want an error that says %q", err, says)
		}
	}
}
