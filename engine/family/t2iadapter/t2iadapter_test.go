package t2iadapter_test

import (
	"fmt"
	"slices"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/familytest"
	_ "comfygo/engine/family/sd15"
	_ "comfygo/engine/family/sdxl"
	"comfygo/engine/family/t2iadapter"
	"comfygo/engine/tensor"
)

// features are the residuals of an adapter for a latent of 16x24 cells: 320, 640, 1280 and 1280 channels. Upstream: Adapter.forward.
func features(xl bool) *family.Residuals {
	at := func(channels, by int) *tensor.Tensor { return tensor.New(1, channels, 16/by, 24/by) }
	if xl {
		return &family.Residuals{Input: []*tensor.Tensor{3: at(320, 2), 5: at(640, 2), 8: at(1280, 4)}, Middle: at(1280, 4)}
	}
	return &family.Residuals{Input: []*tensor.Tensor{2: at(320, 1), 5: at(640, 2), 8: at(1280, 4), 11: at(1280, 8)}}
}

// TestFitting: features act where the U-Net has their channels and their size. What ComfyUI's server logged for these files as "control could
// not be applied" is left out (vega-wide, koala-1b-small, sdxl-small and sd15-small are also workflows of pipeline/unets).
func TestFitting(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		model  string
		xl     bool
		input  []int // blocks that get a feature
		middle bool
		left   int
	}{
		{"vega-wide", true, []int{3, 5, 8}, true, 0},
		{"vega-wide", false, []int{2, 5, 8}, false, 1},
		{"koala-1b-small", true, []int{3}, false, 3},
		{"sdxl-small", true, []int{3}, false, 3},
		{"sdxl-koala-small", true, []int{3}, false, 3},
		{"sd15-small", false, nil, false, 4},
		{"sd15-full", false, []int{2, 5, 8, 11}, false, 0},
		{"sd15-full", true, []int{3, 5, 8}, false, 1},
	} {
		t.Run(fmt.Sprintf("%s, XL %v", c.model, c.xl), func(t *testing.T) {
			t.Parallel()
			m, _, err := family.Open(family.Default, familytest.Manifest(t, c.model, dtype.Invalid)).Diffusion()
			if err != nil {
				t.Fatal(err)
			}
			net := &t2iadapter.Network{Config: t2iadapter.Config{XL: c.xl, Widths: []int{320, 640, 1280, 1280}}}
			call := family.ControlCall{Call: family.Call{X: tensor.New(1, 4, 16, 24)}, Model: m}
			fit, left, all, err := net.Fitting(call, features(c.xl))
			if err != nil || left != c.left || all != 4 {
				t.Fatalf("%d of %d are left out, %v, want %d", left, all, err, c.left)
			}
			if got := family.Places(fit.Input, len(fit.Input)); !slices.Equal(got, c.input) || (fit.Middle != nil) != c.middle {
				t.Errorf("blocks %v, middle %v, want %v and %v", got, fit.Middle != nil, c.input, c.middle)
			}
		})
	}
}

// TestOtherModels: models that are no U-Nets, or whose latents are no images, are errors.
func TestOtherModels(t *testing.T) {
	t.Parallel()
	m, _, err := family.Open(family.Default, familytest.Manifest(t, "sdxl-small", dtype.Invalid)).Diffusion()
	if err != nil {
		t.Fatal(err)
	}
	var net t2iadapter.Network
	for name, call := range map[string]family.ControlCall{
		"another network": {Call: family.Call{X: tensor.New(1, 4, 16, 24)}},
		"a video":         {Call: family.Call{X: tensor.New(1, 4, 2, 16, 24)}, Model: m},
	} {
		if _, _, _, err := net.Fitting(call, features(true)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
