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
