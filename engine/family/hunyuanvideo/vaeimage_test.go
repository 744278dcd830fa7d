package hunyuanvideo_test

import (
	"slices"
	"testing"

	"comfygo/engine/family"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/tensor"
	"comfygo/tests/golden"
)

// TestImageVAEsEqualUpstream compares images; less than ten times upstream's own error in float32, about 1e-6, is allowed.
func TestImageVAEsEqualUpstream(t *testing.T) {
	t.Parallel()
	tolerance := golden.Tolerance{RMSRel: 1e-5}
	for _, c := range []struct {
		file            string
		latents, images map[string][]int
		results         map[string][]int
	}{
		{
			"image21",
			map[string][]int{"": {1, 64, 2, 3}},
			map[string][]int{"": {1, 3, 64, 96}},
			map[string][]int{"decode": {1, 3, 64, 96}, "encode": {1, 64, 2, 3}},
		},
		{
			"refiner",
			map[string][]int{"1": {1, 32, 1, 2, 3}, "2": {1, 32, 2, 2, 3}},
			map[string][]int{"": {1, 3, 32, 48}},
			map[string][]int{"decode1": {1, 3, 32, 48}, "decode2": {8, 3, 32, 48}, "encode": {1, 32, 1, 2, 3}},
		},
	} {
		t.Run(c.file, func(t *testing.T) {
			t.Parallel()
			stored, src := familytest.Recorded(t, "testdata/"+c.file, c.file)
			v, err := family.Open(family.Default, src).VAE()
			if err != nil || v == nil {
				t.Fatalf("%v, %v", v, err)
			}
			for name, shape := range c.latents {
				y, err := v.Decode(t.Context(), familytest.Runner{}, golden.Normal(c.file+"/z"+name, shape...))
				if err != nil {
					t.Fatal(err)
				}
				familytest.CompareSome(t, stored, "decode"+name, y, c.results["decode"+name], tolerance)
				if n := v.Info().Frames; n != nil && n(shape[2]) != y.Dim(0) {
					t.Errorf("%d frames are announced for %v", n(shape[2]), shape)
				}
			}
			for name, shape := range c.images {
				z, err := v.Encode(t.Context(), familytest.Runner{}, golden.Normal(c.file+"/x"+name, shape...))
				if err != nil {
					t.Fatal(err)
				}
				familytest.CompareSome(t, stored, "encode"+name, z, c.results["encode"+name], tolerance)
			}
			familytest.CheckCUDA(t, src, 2)
			if _, err := v.Decode(t.Context(), familytest.Runner{}, tensor.New(1, 16, 2, 2)); err == nil {
				t.Error("a latent of 16 channels: no error")
			}
			if _, err := v.Encode(t.Context(), familytest.Runner{}, tensor.New(2, 3, 32, 32)); err == nil {
				t.Error("two images at once: no error")
			}
		})
	}
}

// TestImageVAEDetection tells the VAEs from those of Stable Diffusion, and refuses those without levels.
func TestImageVAEDetection(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]bool{
		"decoder.conv_in.weight 1024 64 3 3\n":                                           false,
		"decoder.conv_in.weight 1024 32 3 3 3\ndecoder.up.0.block.0.norm1.weight 1024\n": true,
		"decoder.conv_in.weight 1000 64 3 3\ndecoder.up.0.block.0.norm1.weight 1000\n":   false,
	} {
		v, err := family.Open(family.Default, dryrun.List(list)).VAE()
		if got := err == nil && v != nil; got != want {
			t.Errorf("%q: %v, %v", list, v, err)
		}
		if want {
			if i := v.Info(); !i.Video || !i.Apart || i.CanEncode || i.Downscale != 16 || !slices.Equal([]int{i.Frames(1), i.Frames(3)}, []int{1, 12}) {
				t.Errorf("%q: %+v", list, i)
			}
		}
	}
}
