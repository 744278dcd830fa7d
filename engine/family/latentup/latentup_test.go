package latentup_test

import (
	"os"
	"strings"
	"testing"

	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/tests/cudakernels"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// TestEqualsUpstream compares latents that are enlarged in space, in time and by fractions, and those of HunyuanVideo; torch's own error in
// float32 is about 1e-6.
func TestEqualsUpstream(t *testing.T) {
	t.Parallel()
	for form, shape := range map[string][]int{
		"space": {1, 8, 3, 8, 10}, "time": {1, 8, 5, 4, 5}, "both": {1, 8, 5, 8, 10}, "ratio": {1, 8, 3, 6, 8}, "four": {1, 8, 3, 16, 20}, "flat": {1, 8, 3, 8, 10},
		"plain": {1, 4, 3, 4, 5}, "stages": {1, 4, 3, 4, 5},
	} {
		stored, src := familytest.Recorded(t, "testdata/"+form, form)
		u, err := family.Open(family.Default, src).LatentUpscaler()
		if err != nil {
			t.Errorf("%s: %v", form, err)
			continue
		}
		y, err := u.Upscale(t.Context(), familytest.Runner{}, golden.Normal(form+"/z", 1, u.Channels(), 3, 4, 5))
		if err != nil {
			t.Errorf("%s: %v", form, err)
			continue
		}
		familytest.CompareSome(t, stored, "out", y, shape, golden.Tolerance{RMSRel: 1e-5})
		for _, target := range familytest.Targets(t) {
			run := &dryrun.Runner{Spec: family.Spec{Target: target}}
			if _, err := u.Upscale(t.Context(), run, tensor.New(1, u.Channels(), 2, 3, 3)); err != nil || run.Err != nil {
				t.Errorf("%s: %v, %v", form, err, run.Err)
			}
			for _, g := range run.Graphs {
				cudakernels.Check(t, g)
			}
		}
	}
}

// described is a file with other metadata.
type described struct {
	weights.Source
	metadata map[string]string
}

func (d described) Metadata() map[string]string { return d.metadata }

func TestWrongFiles(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/space", "space")
	for name, c := range map[string]struct {
		src  weights.Source
		want string
	}{
		"no metadata": {described{src, nil}, "no config"},
		"broken":      {described{src, map[string]string{"config": "["}}, "reading the metadata"},
		"no change":   {described{src, map[string]string{"config": `{"dims": 3, "mid_channels": 32, "spatial_upsample": false}`}}, "not a known form"},
		"a scale":     {described{src, map[string]string{"config": `{"dims": 3, "mid_channels": 32, "rational_resampler": true, "spatial_scale": 3}`}}, "not a known form"},
		"another":     {dryrun.List("a.weight 1 1\n"), "latent upscale model"},
		"shapes":      {dryrun.List("blocks.0.block.0.conv.weight 8 8 3 3 3\n"), "no upscale model"},
		"missing":     {familytest.Without(src, "final_conv"), "final_conv"},
	} {
		u, err := family.Open(family.Default, c.src).LatentUpscaler()
		if err == nil {
			_, err = u.Upscale(t.Context(), familytest.Runner{}, tensor.New(1, 8, 1, 2, 2))
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
