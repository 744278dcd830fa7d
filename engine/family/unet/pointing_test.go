package unet_test

import (
	"os"
	"strings"
	"testing"

	"comfygo/engine/family"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/family/unet"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/tests/cudakernels"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

func pointing(t *testing.T, src weights.Source) *unet.Model {
	t.Helper()
	cfg, err := unet.Read(src)
	if err != nil {
		t.Fatal(err)
	}
	cfg.HeadChannels = 32
	return &unet.Model{Config: cfg, Source: src}
}

// TestHeatmapsEqualUpstream compares the maps of a small network; ten times torch's own error in float32, about 1e-6, is allowed.
func TestHeatmapsEqualUpstream(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/pointing", "unet")
	m := pointing(t, src)
	call := family.Call{X: golden.Normal("unet/x", 2, 4, 6, 4), T: []float32{999, 10}, Inputs: sampling.Inputs{List: []sampling.Input{
		{Name: sampling.InputContext, Value: golden.Normal("unet/context", 2, 3, 16), Rule: sampling.ByTokens}, {Name: unet.InputVector, Value: golden.Normal("unet/y", 2, 4), Rule: sampling.ByRows},
	}}}
	got, err := m.Heatmaps(t.Context(), familytest.Runner{}, call)
	if err != nil {
		t.Fatal(err)
	}
	familytest.Compare(t, stored, "heatmaps", got, golden.Tolerance{RMSRel: 1e-5})
	for _, target := range familytest.Targets(t) {
		run := &dryrun.Runner{Spec: family.Spec{Target: target}}
		if _, err = m.Heatmaps(t.Context(), run, call); err != nil || run.Err != nil {
			t.Fatalf("%s: %v, %v", target.Compute, err, run.Err)
		}
		for _, g := range run.Graphs {
			cudakernels.Check(t, g)
		}
	}
	if _, err = pointing(t, familytest.Without(src, "heatmap_head")).Heatmaps(t.Context(), familytest.Runner{}, call); err == nil || !strings.Contains(err.Error(), "SDPose") {
		t.Errorf("a network without the head: %v", err)
	}
	call.X = tensor.New(2, 3, 6, 4)
	if _, err = m.Heatmaps(t.Context(), familytest.Runner{}, call); err == nil {
		t.Error("a latent of three channels: no error")
	}
}
