package sampling_test

import (
	"strings"
	"testing"

	"comfygo/engine"
	es "comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/nodes/sampling"
)

// TestVOIDClasses checks the results of the classes, and that an empty latent is not noise.
func TestVOIDClasses(t *testing.T) {
	t.Parallel()
	out, err := (&sampling.VOIDSampler{}).Run(nil)
	if err != nil {
		t.Fatal(err)
	}
	if s, ok := out.Values[0].(*es.Sampler); !ok || s.Name() != "void_ddim" {
		t.Errorf("%v", out.Values)
	}
	given := tensor.New(1, 4, 2, 2)
	out, err = (&sampling.VOIDWarpedNoiseSource{Noise: engine.Latent{Samples: given}}).Run(nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, ok := out.Values[0].(*sampling.Noise); !ok || n.Samples != given {
		t.Errorf("%v", out.Values)
	}
	for name, l := range map[string]engine.Latent{"nothing": {}, "a nested latent": {Samples: given, Along: []*tensor.Tensor{given}}} {
		if _, err = (&sampling.VOIDWarpedNoiseSource{Noise: l}).Run(nil); err == nil || !strings.Contains(err.Error(), "warped_noise") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
