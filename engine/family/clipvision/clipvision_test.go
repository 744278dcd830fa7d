package clipvision_test

import (
	"os"
	"slices"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/clipvision"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/tests/cudakernels"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// fp32 is ten times what torch's own float32 differs from float64 there (6.1e-7), at least 1e-5.
var fp32 = golden.Tolerance{RMSRel: 1e-5}

func open(tb testing.TB, checkpoint string) weights.Source {
	tb.Helper()
	src, err := weights.Open(golden.Checkpoint(tb, checkpoint))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = src.Close() })
	return src
}

func TestForward(t *testing.T) {
	t.Parallel()
	stored := golden.Load(t, "module/clip-vision", nil)
	e := clipvision.New(open(t, "mod-clip-vision"), clipvision.Config{
		Width: 128, Layers: 3, Heads: 2, MLP: 512, Image: 56, Patch: 14, Projection: 96,
	})
	got, err := e.Forward(t.Context(), familytest.Runner{}, golden.Normal("mod/clip-vision/public/x", 1, 3, 56, 56))
	if err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, "last", got.Last.Data, stored.Get(t, "m0/out.0").Data, fp32)
	golden.Compare(t, "penultimate", got.Penultimate.Data, stored.Get(t, "m0/out.1").Data, fp32)
	golden.Compare(t, "embeds", got.Embeds.Data, stored.Get(t, "m0/out.2").Data, fp32)
	if got.All != nil || got.Projected != nil || !slices.Equal(got.Embeds.Shape, []int{1, 96}) {
		t.Errorf("embeds %v; all %v and projected %v, want none", got.Embeds.Shape, got.All, got.Projected)
	}
}

// TestCUDAGraphsHaveKernels looks the operators up in the list of CUDA's kernels.
func TestCUDAGraphsHaveKernels(t *testing.T) {
	t.Parallel()
	e := clipvision.New(familytest.Manifest(t, "mod-clip-vision", dtype.F16), clipvision.Config{
		Width: 128, Layers: 3, Heads: 2, MLP: 512, Image: 56, Patch: 14, Projection: 96,
	})
	for _, target := range familytest.Targets(t) {
		run := &dryrun.Runner{Spec: family.Spec{Target: target}}
		if _, err := e.Forward(t.Context(), run, tensor.New(1, 3, 56, 56)); err != nil || len(run.Graphs) != 1 {
			t.Fatalf("%d graphs: %v", len(run.Graphs), err)
		}
		cudakernels.Check(t, run.Graphs[0])
	}
}

var _ family.ImageEncoder = (*clipvision.Encoder)(nil)
