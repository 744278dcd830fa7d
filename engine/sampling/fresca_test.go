package sampling_test

import (
	"fmt"
	"testing"

	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/tests/golden"
)

// Torch transforms in float32: a few ulps of values up to 8.
var frescaTolerance = golden.Tolerance{MaxAbs: 5e-6}

func TestFreScaEqualsUpstream(t *testing.T) {
	t.Parallel()
	var g struct {
		Cases []struct {
			ID        string  `json:"id"`
			Low, High float64 `json:",omitempty"`
			Cutoff    int     `json:"cutoff"`
		} `json:"cases"`
	}
	stored := golden.Load(t, "samplers/fresca", &g)
	for _, c := range g.Cases {
		x := stored.Get(t, c.ID+"/x")
		hook := sampling.FreSca(c.Low, c.High, c.Cutoff)
		info := sampling.Guidance{HasCond: true, HasUncond: true}
		out, err := hook(t.Context(), info, []*tensor.Tensor{x, tensor.New(x.Shape...)})
		if err != nil {
			t.Fatal(err)
		}
		golden.Compare(t, c.ID, out[0].Data, stored.Get(t, c.ID+"/out").Data, frescaTolerance)
		if again, err := hook(t.Context(), sampling.Guidance{HasCond: true}, []*tensor.Tensor{x}); err != nil || again[0] != x {
			t.Errorf("%s: one side alone is changed", c.ID)
		}
	}
}

func TestFlowSchedulesThatCannotBe(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func() ([]float32, error){
		"no steps":  func() ([]float32, error) { return sampling.LTXVSigmas(0, 1, true, 0.1) },
		"one step":  func() ([]float32, error) { return sampling.LTXVSigmas(1, 0, true, 0.1) },
		"terminal":  func() ([]float32, error) { return sampling.LTXVSigmas(3, 1, true, 1) },
		"flux 2":    func() ([]float32, error) { return sampling.Flux2Sigmas(-1, 16, 16) },
		"ideogram":  func() ([]float32, error) { return sampling.Ideogram4Sigmas(0, 512, 512, 0, 1) },
		"no height": func() ([]float32, error) { return sampling.Ideogram4Sigmas(3, 512, 0, 0, 1) },
	} {
		if s, err := make(); err == nil {
			t.Errorf("%s gives %s", name, fmt.Sprint(s))
		}
	}
}
