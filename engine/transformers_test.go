package engine_test

import (
	"testing"

	"comfygo/internal/goldencheck/checktest"
)

// TestTransformersEqualUpstream runs the goldens of diffusion transformers; see TestNetworksEqualUpstream.
func TestTransformersEqualUpstream(t *testing.T) {
	t.Parallel()
	for _, only := range []string{
		"forward/anima",
		"forward/cosmos*",
		"forward/flux*",
		"forward/hunyuan-image21*",
		"forward/hydit*",
		"forward/kandinsky5*",
		"forward/krea2",
		"forward/pixart-alpha",
		"forward/sd35",
		"module/chroma",
	} {
		t.Run(only, func(t *testing.T) {
			t.Parallel()
			checktest.Pass(t, only, shared)
		})
	}
}
