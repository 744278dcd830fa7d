package sampling_test

import (
	"math"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/internal/goldencheck/checktest"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/tests/golden"
)

// scheduleTolerance bounds the relative difference of levels: float32 results of a few operations by another mathematical library
// are some ulps apart, and karras raises that to the seventh power.
const scheduleTolerance = 3e-6

// TestScheduleNodesEqualUpstream runs every node that makes or changes sigmas.
func TestScheduleNodesEqualUpstream(t *testing.T) {
	t.Parallel()
	checktest.Pass(t, "schedules/nodes", nil)
}

func compareLevels(t *testing.T, name string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d levels, want %d", name, len(got), len(want))
		return
	}
	for i, w := range want {
		if d := math.Abs(float64(got[i] - w)); !(d <= scheduleTolerance*math.Abs(float64(w))) {
			t.Errorf("%s: level %d is %v, want %v", name, i, got[i], w)
			return
		}
	}
}

// TestLevelsByHand checks what the goldens leave out.
func TestLevelsByHand(t *testing.T) {
	t.Parallel()
	run := func(class string, pairs ...any) []any {
		c, ok := nodes.Default().Get(class)
		if !ok {
			t.Fatalf("there is no class %s", class)
		}
		return runClass(t, c, pyjson.NewObject(pairs...))
	}
	compareLevels(t, "manual", run("ManualSigmas", "sigmas", "1, 0.5;.25 x-3")[0].([]float32), []float32{1, 0.5, 0.25, -3})
	compareLevels(t, "no denoise", run("AlignYourStepsScheduler", "model_type", "SD1", "denoise", 0.0)[0].([]float32), nil)
	compareLevels(t, "no denoise before the table is looked at", run("GITSScheduler", "coeff", 0.94, "denoise", 0.0)[0].([]float32), nil)
	split := run("SplitSigmasDenoise", "sigmas", []float32{3, 2, 1, 0}, "denoise", 0.0)
	compareLevels(t, "nothing to split off", split[0].([]float32), nil)
	compareLevels(t, "the last level", split[1].([]float32), []float32{0})
	compareLevels(t, "flip of nothing", run("FlipSigmas", "sigmas", []float32(nil))[0].([]float32), nil)
	model, err := runtime.LoadModel(golden.Checkpoint(t, "sd15-small"), dtype.Invalid)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		percent float64
		actual  bool
		want    float64
	}{{0, false, 999999999.9}, {0, true, 14.614641189575195}, {1, false, 0}, {1, true, 0.029167158529162407}, {0.5, true, 1.6155803203582764}} {
		got := run("SamplingPercentToSigma", "model", model, "sampling_percent", c.percent, "return_actual_sigma", c.actual)[0].(float64)
		if math.Abs(got-c.want) > 1e-6*c.want {
			t.Errorf("the level at %v (actual: %v) is %v, want %v", c.percent, c.actual, got, c.want)
		}
	}
}

// TestWrongLevelsAreErrors gives schedule nodes what upstream cannot divide by or index either.
func TestWrongLevelsAreErrors(t *testing.T) {
	t.Parallel()
	for class, pairs := range map[string][]any{
		"KarrasScheduler":          {"rho", 0.0},
		"ExponentialScheduler":     {"sigma_min", 0.0},
		"PolyexponentialScheduler": {"sigma_max", 0.0},
		"GITSScheduler":            {"coeff", 0.81},
		"SetFirstSigma":            {"sigmas", []float32(nil)},
		"ManualSigmas":             {"sigmas", "1..5"},
		"BasicScheduler":           {"scheduler", "normal"},
		"SDTurboScheduler":         {},
		"SamplerDPMPP_SDE":         {"r", 0.0},
		"SamplerSASolver":          {},
		"BasicGuider":              {},
		"SamplerCustomAdvanced":    {"sigmas", []float32{1, 0}},
		"ModelSamplingSD3":         {},
		"RescaleCFG":               {},
	} {
		c, ok := nodes.Default().Get(class)
		if !ok {
			t.Fatalf("there is no class %s", class)
		}
		node, err := c.Bind(pyjson.NewObject(pairs...), nil)
		if err != nil {
			t.Fatalf("%s: %v", class, err)
		}
		r, err := node.Run(nodes.TestContext(t.Context(), nodes.Services{}))
		if err == nil {
			t.Errorf("%s with %v gives %v", class, pairs, r.Values)
		}
		if want := map[string]string{"KarrasScheduler": "ZeroDivisionError", "GITSScheduler": "KeyError"}[class]; want != "" && nodes.ExceptionType(err) != want {
			t.Errorf("%s fails with %s, want %s", class, nodes.ExceptionType(err), want)
		}
	}
}
