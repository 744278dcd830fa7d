package ltxv_test

import (
	"fmt"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/tests/golden"
)

// TestDiffusionVAEEqualsUpstream compares videos of a single step with neighbourhoods larger and smaller than the frames, and of two steps that predict
// velocities; the encoder is the one of the former version, with the same tolerances.
func TestDiffusionVAEEqualsUpstream(t *testing.T) {
	t.Parallel()
	for name, frames := range map[string][]int{"diffusion": {3}, "velocity": {1, 3}} {
		stored, src := familytest.Recorded(t, "testdata/"+name, name)
		v := openVAE(t, src)
		if i := v.Info(); i.Channels != 128 || i.Downscale != 32 || i.Pace != 8 || i.Frames(3) != 17 || !i.CanEncode {
			t.Errorf("%s: %+v", name, i)
		}
		for _, n := range frames {
			y, err := v.Decode(t.Context(), familytest.Runner{}, golden.Normal(fmt.Sprintf("%s/z%d", name, n), 1, 128, n, 2, 3))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			familytest.CompareSome(t, stored, fmt.Sprintf("decode%d", n), y, []int{8*n - 7, 3, 64, 96}, golden.Tolerance{RMSRel: 1e-5})
		}
		z, err := v.Encode(t.Context(), familytest.Runner{}, golden.Normal(name+"/x9", 9, 3, 32, 64))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		familytest.CompareSome(t, stored, "encode9", z, []int{1, 128, 2, 1, 2}, golden.Tolerance{RMSRel: 3e-5})
	}
}

// TestDiffusionVAEMemory checks that the estimate does not grow with the number of frames once neighbourhoods are full.
func TestDiffusionVAEMemory(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/diffusion", "diffusion")
	v := openVAE(t, src)
	short, long := v.DecodeMemory([]int{1, 128, 3, 6, 8}), v.DecodeMemory([]int{1, 128, 33, 6, 8})
	if short <= 0 || float64(long) > 1.1*float64(short) {
		t.Errorf("17 frames take %d bytes and 257 take %d", short, long)
	}
}

// TestDiffusionVAECUDA looks the operators of all graphs up among CUDA's kernels.
func TestDiffusionVAECUDA(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/velocity", "velocity")
	for _, stored := range []dtype.DType{dtype.F32, dtype.F16, dtype.BF16} {
		familytest.CheckKernels(t, configured{familytest.Stored(src, stored), src.Metadata()["config"]}, 2)
	}
}

func TestDiffusionVAERefusals(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/velocity", "velocity")
	v := openVAE(t, src)
	for name, z := range map[string]*tensor.Tensor{"no time axis": tensor.New(1, 128, 2, 2), "channels": tensor.New(1, 16, 2, 2, 2), "no rows": tensor.New(1, 128, 1, 0, 2)} {
		if _, err := v.Decode(t.Context(), familytest.Runner{}, z); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for config, want := range map[string]string{
		`{`: "config", `{"vae": {"decoder": {"stage_depths": [1]}}}`: "do not fit together", `{"vae": {"decoder": {"head_dim": 60}}}`: "heads of 60",
		`{"vae": {"decoder": {"upsamples": [[[1, 2, 2], 2], [[3, 1, 1], 2], [[2, 2, 2], 1], [[2, 2, 2], 2]]}}}`: "3 frames",
		`{"vae": {"decoder": {"upsamples": [[1, 2]]}}}`:                                                         "reading", `{"vae": {"encoder": {"norm_layer": "group_norm"}}}`: "group_norm",
		`{"vae": {"decoder": {"default_num_inference_steps": 1000}}}`: "1000 steps",
	} {
		_, err := family.Open(family.Default, configured{src, config}).VAE()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", config, err)
		}
	}
	_, err := family.Open(family.Default, dryrun.List("decoder.conv_in_x_t.weight 256 48\ndecoder.shared_adaln.proj.weight 1792 384\n")).VAE()
	if err == nil || !strings.Contains(err.Error(), "mean-of-means") {
		t.Errorf("without statistics: %v", err)
	}
}

// configured is a file with another config.
type configured struct {
	weights.Source
	config string
}

// Metadata implements weights.Source.
func (c configured) Metadata() map[string]string { return map[string]string{"config": c.config} }
