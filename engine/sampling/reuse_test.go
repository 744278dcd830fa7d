package sampling_test

import (
	"slices"
	"testing"

	"comfygo/engine/sampling"
	"comfygo/internal/goldencheck"
)

// TestReuseLeavesPredictionsOut counts the runs of the network, which depend on the threshold.
func TestReuseLeavesPredictionsOut(t *testing.T) {
	t.Parallel()
	euler := must(sampling.NewSampler("euler"))
	run := func(hooks sampling.Hooks) (calls int, out []float32) {
		net := &goldencheck.Toy{Scale: 0.001}
		p, sigmas := tableRun(t, net)
		p.Positive, p.Negative, p.Hooks = context1(0.5), context1(-0.5), hooks
		latent, _, err := sampling.SampleWith(t.Context(), p, euler, sigmas)
		if err != nil {
			t.Fatal(err)
		}
		return net.Calls, latent.Data
	}
	all, plain := run(sampling.Hooks{})
	for _, guided := range []bool{false, true} {
		never, same := run(sampling.Hooks{}.WithReuse(sampling.Reuse{Threshold: 0, Start: 0, End: 1, Guided: guided}))
		if never != all {
			t.Errorf("guided %v: a threshold of 0 leaves out %d of %d predictions", guided, all-never, all)
		}
		if !slices.Equal(same, plain) {
			t.Errorf("guided %v: the latent differs though nothing is left out", guided)
		}
		often, rough := run(sampling.Hooks{}.WithReuse(sampling.Reuse{Threshold: 3, Start: 0, End: 1, Guided: guided}))
		if often >= all || often < 2 {
			t.Errorf("guided %v: a threshold of 3 leaves %d of %d predictions", guided, often, all)
		}
		if slices.Equal(rough, plain) {
			t.Errorf("guided %v: what is left out changes nothing", guided)
		}
		between := false
		for _, threshold := range []float64{0.003, 0.01, 0.03, 0.1, 0.3, 1} {
			n, _ := run(sampling.Hooks{}.WithReuse(sampling.Reuse{Threshold: threshold, Start: 0, End: 1, Guided: guided}))
			between = between || often < n && n < all
		}
		if !between {
			t.Errorf("guided %v: the network never runs again after a prediction that was left out", guided)
		}
		late, _ := run(sampling.Hooks{}.WithReuse(sampling.Reuse{Threshold: 3, Start: 1, End: 1, Guided: guided}))
		if late != all {
			t.Errorf("guided %v: outside of its part of the run it leaves out %d predictions", guided, all-late)
		}
	}
}
