package latent_test

import (
	"math"
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/nodes"
	"comfygo/nodes/latent"
)

// TestMiniMaxMusic3BadInputs gives the class what it cannot use.
func TestMiniMaxMusic3BadInputs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		node latent.MiniMaxMusic3TextEncode
		want string
	}{
		"no text encoder":   {latent.MiniMaxMusic3TextEncode{}, "no text encoder"},
		"a duration of NaN": {latent.MiniMaxMusic3TextEncode{CLIP: &engine.CLIP{}, MaxDuration: math.NaN()}, "max_duration"},
		"a scale of NaN":    {latent.MiniMaxMusic3TextEncode{CLIP: &engine.CLIP{}, MaxDuration: 1, CFGScale: math.NaN()}, "cfg_scale"},
	} {
		if _, err := c.node.Run(nodes.TestContext(t.Context(), nodes.Services{})); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, wanted an error with %q", name, err, c.want)
		}
	}
}
