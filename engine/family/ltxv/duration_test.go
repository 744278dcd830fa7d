package ltxv_test

import (
	"math"
	"strings"
	"testing"

	"comfygo/engine/family"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/family/ltxv"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/tests/cudakernels"
	"comfygo/tests/golden"
)

func durationHead(t *testing.T, src weights.Source) family.DurationNetwork {
	t.Helper()
	p, err := family.Open(family.Default, src).ModelPatch()
	if err != nil {
		t.Fatal(err)
	}
	return p.(family.DurationNetwork)
}

// TestDurationEqualsUpstream compares predictions from texts with and without connectors; torch's own error in float32 is below 1e-6.
func TestDurationEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/duration", "duration")
	d, head := openAV(t, weights.Sub(src, "model.")), durationHead(t, src)
	for name, c := range map[string]struct {
		tokens int
		values map[string]any
	}{"made": {9, nil}, "raw": {7, map[string]any{ltxv.KeyUnconnected: true}}} {
		cond := &sampling.Cond{Tokens: golden.Normal("duration/"+name, 1, c.tokens, 36), Values: c.values}
		got, err := head.Seconds(t.Context(), familytest.Runner{}, d, familytest.Runner{}, cond)
		if err != nil {
			t.Fatal(err)
		}
		familytest.Compare(t, stored, name, &tensor.Tensor{Shape: []int{1}, Data: []float32{float32(got)}}, golden.Tolerance{RMSRel: 1e-5})
		for _, target := range familytest.Targets(t) {
			run := &dryrun.Runner{Spec: family.Spec{Target: target}}
			if _, err := head.Seconds(t.Context(), run, d, run, cond); err != nil || run.Err != nil {
				t.Fatalf("%v, %v", err, run.Err)
			}
			for _, g := range run.Graphs {
				cudakernels.Check(t, g)
			}
		}
	}
}

func TestWrongDuration(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/duration", "duration")
	d, head := openAV(t, weights.Sub(src, "model.")), durationHead(t, weights.Sub(src, "duration_head."))
	if err := head.Fits(d); err == nil || !strings.Contains(err.Error(), "LTXVDurationPredictor") {
		t.Errorf("a duration head in a model: %v", err)
	}
	text := tensor.New(1, 3, 36)
	for name, c := range map[string]struct {
		cond *sampling.Cond
		want string
	}{
		"no text":       {&sampling.Cond{}, "text"},
		"another width": {&sampling.Cond{Tokens: tensor.New(1, 3, 35)}, "35"},
	} {
		if _, err := head.Seconds(t.Context(), familytest.Runner{}, d, familytest.Runner{}, c.cond); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, other := familytest.Recorded(t, "../mochi/testdata/network", "mochi")
	video, _, err := family.Open(family.Default, other).Diffusion()
	if err != nil {
		t.Fatal(err)
	}
	if s, err := head.Seconds(t.Context(), familytest.Runner{}, video, familytest.Runner{}, &sampling.Cond{Tokens: text}); err == nil || math.IsNaN(s) {
		t.Errorf("a model without audio: %v", err)
	}
	if _, err := family.Open(family.Default, familytest.Without(src, "duration_head.mlp_hidden")).ModelPatch(); err == nil {
		t.Error("a part of a duration head: no error")
	}
}
