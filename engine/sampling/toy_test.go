package sampling_test

import (
	"strings"
	"testing"

	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/goldencheck/checktest"
)

func context1(v float32) []sampling.Cond {
	return []sampling.Cond{{Tokens: &tensor.Tensor{Shape: []int{1, 1, 1}, Data: []float32{v}}}}
}

// TestSamplersEqualUpstream runs every sampler on a closed-form network.
func TestSamplersEqualUpstream(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, r := range checktest.Pass(t, "samplers/toy", nil) {
		for _, word := range strings.Fields(r.Golden) {
			seen[word] = true
		}
	}
	for _, name := range sampling.SamplerNames() {
		if !seen[name] {
			t.Errorf("no golden runs the sampler %s", name)
		}
	}
}

// TestSchedulesEqualUpstream compares schedules, and the sigmas and timesteps of model samplings.
func TestSchedulesEqualUpstream(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, r := range checktest.Pass(t, "schedules/ksampler", nil) {
		for _, word := range strings.Fields(r.Golden) {
			seen[word] = true
		}
	}
	for _, name := range sampling.SchedulerNames() {
		if !seen[name] {
			t.Errorf("no golden runs the scheduler %s", name)
		}
	}
}
