package controlnet_test

import (
	"slices"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/controlnet"
	"comfygo/engine/family/familytest"
	_ "comfygo/engine/family/sd15"
	_ "comfygo/engine/family/sdxl"
	"comfygo/engine/family/unet"
	"comfygo/engine/tensor"
)

// TestFitting: the outputs of a ControlNet for SDXL, 320 channels each, on U-Nets with as many, fewer and more blocks. The last output belongs to the
// last skip connection, and acts where channels and size are the same (control_koala of pipeline/unets is the second row in ComfyUI).
func TestFitting(t *testing.T) {
	t.Parallel()
	const blocks = 9
	for model, want := range map[string]struct {
		output []int
		middle bool
		left   int
	}{
		"sdxl-small":       {[]int{0, 1, 2, 3, 4, 5, 6, 7, 8}, true, 0},
		"koala-1b-small":   {[]int{2, 4, 5}, true, 6},
		"sdxl-koala-small": {[]int{2, 4}, false, 8},
		"sd15-full":        {nil, false, 10},
	} {
		t.Run(model, func(t *testing.T) {
			t.Parallel()
			d, _, err := family.Open(family.Default, familytest.Manifest(t, model, dtype.Invalid)).Diffusion()
			if err != nil {
				t.Fatal(err)
			}
			m, ok := d.(*unet.Model)
			if !ok {
				t.Fatalf("the model is a %T", d)
			}
			r := &family.Residuals{Middle: tensor.New(1, 320, 4, 6)}
			for i := range blocks {
				by := 1 << (i / 3)
				r.Output = append(r.Output, tensor.New(1, 320, 16/by, 24/by))
			}
			r.Output = m.AtSkips(r.Output)
			net := &controlnet.Network{Config: controlnet.Config{Blocks: blocks}}
			call := family.ControlCall{Call: family.Call{X: tensor.New(1, 4, 16, 24)}, Model: m}
			fit, left, all, err := net.Fitting(call, r)
			if err != nil || left != want.left || all != blocks+1 {
				t.Fatalf("%d of %d are left out, %v, want %d", left, all, err, want.left)
			}
			if got := family.Places(fit.Output, len(fit.Output)); !slices.Equal(got, want.output) || (fit.Middle != nil) != want.middle {
				t.Errorf("blocks %v, middle %v, want %v and %v", got, fit.Middle != nil, want.output, want.middle)
			}
			call.X = tensor.New(1, 4, 2, 16, 24)
			if _, _, _, err := net.Fitting(call, r); err == nil {
				t.Error("a video gives no error")
			}
		})
	}
}
