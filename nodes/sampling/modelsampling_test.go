package sampling_test

import (
	"math"
	"testing"

	"comfygo/engine"
	"comfygo/engine/dtype"
	es "comfygo/engine/sampling"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/nodes/patches"
	"comfygo/tests/golden"
)

// patched runs nodes that patch a model one after the other; each is a class followed by its other inputs.
func patched(t *testing.T, patches ...[]any) *engine.Model {
	t.Helper()
	model, err := runtime.LoadModel(golden.Checkpoint(t, "sd15-small"), dtype.Invalid)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range patches {
		class, ok := nodes.Default().Get(p[0].(string))
		if !ok {
			t.Fatalf("there is no class %s", p[0])
		}
		model = runClass(t, class, pyjson.NewObject(append([]any{"model", model}, p[1:]...)...))[0].(*engine.Model)
	}
	return model
}

// TestModelSamplingNodes checks sigmas half-way through a run and the timesteps that the network gets, by upstream's
// formulas.
func TestModelSamplingNodes(t *testing.T) {
	t.Parallel()
	shifted := func(shift float64) float64 { return shift * 0.5 / (1 + (shift-1)*0.5) }
	flux := func(shift float64) float64 { return math.Exp(shift) / (math.Exp(shift) + 1) }
	for _, c := range []struct {
		name       string
		patches    [][]any
		half, time float64 // of the level 0.5
		noise      float32
	}{
		{"none", nil, 1.6155803203582764, 169, 1},
		{"discrete after a flow", [][]any{{"ModelSamplingSD3"}, {"ModelSamplingDiscrete", "sampling", "eps"}}, 1.6155803203582764, 169, 1},
		{"sd3", [][]any{{"ModelSamplingSD3"}}, shifted(3), 500, 1},
		{"auraflow", [][]any{{"ModelSamplingAuraFlow"}}, shifted(1.73), 0.5, 1},
		{"noise scale", [][]any{{"ModelSamplingSD3"}, {"ModelNoiseScale", "noise_scale", 7.5}}, shifted(3), 500, 7.5},
		{"a noise scale stays", [][]any{{"ModelSamplingSD3"}, {"ModelNoiseScale", "noise_scale", 7.5}, {"ModelSamplingSD3", "shift", 2.0}}, shifted(2), 500, 7.5},
		{"flux", [][]any{{"ModelSamplingFlux"}}, flux(1.15), 0.5, 1},
		{"flux, small", [][]any{{"ModelSamplingFlux", "width", 256, "height", 256}}, flux(0.5), 0.5, 1},
		{"flux without shift", [][]any{{"ModelSamplingFlux", "max_shift", 0.0, "base_shift", 0.0}}, 0.5, 0.5, 1},
		{"edm", [][]any{{"ModelSamplingContinuousEDM", "sampling", "edm"}}, math.Sqrt(0.002 * 120), 0.25 * math.Log(0.5), 1},
		{"v", [][]any{{"ModelSamplingContinuousV", "sampling", "v_prediction"}}, math.Sqrt(0.03 * 500), math.Atan(0.5) / math.Pi * 2, 1},
		{"cosmos", [][]any{{"ModelSamplingContinuousEDM", "sampling", "cosmos_rflow"}}, math.Sqrt(0.002 * 120), 0.5 / 1.5, 1},
		{"lcm", [][]any{{"ModelSamplingDiscrete", "sampling", "lcm"}}, 1.6155803203582764, 179, 1},
	} {
		ms := patched(t, c.patches...).Sampling()
		if got := ms.PercentToSigma(0.5); math.Abs(got-c.half) > 1e-3*c.half {
			t.Errorf("%s: the level half-way is %v, want %v", c.name, got, c.half)
		}
		if got := float64(ms.Timestep(0.5)); math.Abs(got-c.time) > 1e-5*math.Abs(c.time) {
			t.Errorf("%s: the time of level 0.5 is %v, want %v", c.name, got, c.time)
		}
		if got := ms.NoiseScale(); got != c.noise {
			t.Errorf("%s: the factor on noise is %v, want %v", c.name, got, c.noise)
		}
	}
}

// TestPatchesLeaveTheirModelAlone patches a model twice: neither patch is seen in the other or in the model itself.
func TestPatchesLeaveTheirModelAlone(t *testing.T) {
	t.Parallel()
	base := patched(t, []any{"Mahiro"})
	run := func(class string, pairs ...any) *engine.Model {
		c, ok := nodes.Default().Get(class)
		if !ok {
			t.Fatalf("there is no class %s", class)
		}
		return runClass(t, c, pyjson.NewObject(append([]any{"model", base}, pairs...)...))[0].(*engine.Model)
	}
	rescaled, scaled := run("RescaleCFG"), run("Epsilon Scaling")
	playground := run("ModelSamplingContinuousEDM", "sampling", "edm_playground_v2.5")
	if h := base.Hooks(); len(h.After) != 1 || h.Combine != nil {
		t.Error("a patch changed the model it was made from")
	}
	if h := rescaled.Hooks(); len(h.After) != 1 || h.Combine == nil {
		t.Error("RescaleCFG lost or added hooks")
	}
	if h := scaled.Hooks(); len(h.After) != 2 || h.Combine != nil {
		t.Error("Epsilon Scaling lost or added hooks")
	}
	if base.LatentFormat().Mean != nil || playground.LatentFormat().Mean == nil {
		t.Error("the latent format is not that of the patch alone")
	}
	if option := base.WithOption("a", 1).WithOption("b", 2); len(option.Options()) != 2 || len(base.Options()) != 0 {
		t.Error("options are not kept apart")
	}
}

func TestModelSamplingsThatCannotBe(t *testing.T) {
	t.Parallel()
	model := patched(t)
	for name, n := range map[string]nodes.Node{
		"a noise scale without flow": &patches.ModelNoiseScale{Model: model, NoiseScale: 2},
		"no shift":                   &patches.ModelSamplingSD3{Model: model},
		"levels from zero":           &patches.ModelSamplingContinuousEDM{Model: model, Sampling: "edm", SigmaMax: 1},
		"an unknown kind":            &patches.ModelSamplingDiscrete{Model: model, Sampling: "x"},
	} {
		if r, err := n.Run(nodes.TestContext(t.Context(), nodes.Services{})); err == nil {
			t.Errorf("%s gives %v", name, r.Values)
		}
	}
	if _, err := es.NewModelSampling(es.EDM, es.Settings{SigmaMin: -1}); err == nil {
		t.Error("levels below zero were accepted")
	}
}
