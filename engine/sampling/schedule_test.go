package sampling_test

import (
	"math"
	"testing"

	"comfygo/engine/sampling"
)

func TestWrongSchedulesAreErrors(t *testing.T) {
	t.Parallel()
	m, err := sampling.NewModelSampling(sampling.EPS, sampling.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		scheduler string
		steps     int
	}{{"nothing", 5}, {"", 5}, {"normal", 0}, {"karras", -1}, {"simple", math.MaxInt32}} {
		if s, err := sampling.Schedule(m, c.scheduler, c.steps); err == nil {
			t.Errorf("%q with %d steps gives %d levels", c.scheduler, c.steps, len(s))
		}
	}
	if _, err := sampling.NewModelSampling("NO_SUCH", sampling.Settings{}); err == nil {
		t.Error("an unknown model type was accepted")
	}
	if _, err := sampling.NewModelSampling(sampling.EPS, sampling.Settings{BetaSchedule: "cubic"}); err == nil {
		t.Error("an unknown beta schedule was accepted")
	}
}

// TestCalls holds the number of model calls of each schedule against ComfyUI's (samplers.calculate_sigmas of Stable Diffusion 1's sigmas,
// less the last): beta leaves out timesteps that are the same, and ddim_uniform takes every n-th of 1000.
func TestCalls(t *testing.T) {
	t.Parallel()
	m, err := sampling.NewModelSampling(sampling.EPS, sampling.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	steps := []int{1, 2, 3, 7, 20, 30, 33, 50, 100, 150, 200, 300, 400, 600, 999, 1000, 1500}
	for name, calls := range map[string][]int{
		"beta":         {1, 2, 3, 7, 20, 30, 33, 50, 100, 149, 199, 293, 387, 559, 846, 847, 1000},
		"ddim_uniform": {1, 2, 3, 8, 20, 31, 34, 50, 100, 167, 200, 333, 500, 999, 999, 999, 999},
		"simple":       steps, "normal": steps, "sgm_uniform": steps, "karras": steps, "exponential": steps, "kl_optimal": steps, "linear_quadratic": steps,
	} {
		for i, n := range steps {
			if name == "kl_optimal" && n == 1 {
				continue // the reference divides by 0 and samples with NaN; here it is an error
			}
			s, err := sampling.Schedule(m, name, n)
			if err != nil || len(s)-1 != calls[i] {
				t.Errorf("%s with %d steps makes %d calls (%v), want %d", name, n, len(s)-1, err, calls[i])
			}
		}
	}
}
