package hunyuanvideo_test

import (
	"fmt"
	"testing"

	"comfygo/engine/family"
	"comfygo/engine/family/familytest"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/tests/golden"
)

func formValue(name string, shape ...int) *tensor.Tensor {
	return golden.Normal("hunyuanforms/"+name, shape...)
}

// channelsOf are channels [from, to) of x.
func channelsOf(x *tensor.Tensor, from, to int) *tensor.Tensor {
	out := tensor.New(append([]int{x.Dim(0), to - from}, x.Shape[2:]...)...)
	size := tensor.Count(x.Shape[2:])
	for b := range x.Dim(0) {
		copy(out.Index(b).Data, x.Index(b).Data[from*size:to*size])
	}
	return out
}

// formCalls are the calls that testdata/record_forms.py recorded, by the channels of the network and the name.
var formCalls = map[int]map[string]struct {
	inputs map[string]*tensor.Tensor
	next   bool
}{
	16: {
		"plain":  {inputs: map[string]*tensor.Tensor{"guidance": {Shape: []int{2}, Data: []float32{6, 3}}}},
		"masked": {inputs: map[string]*tensor.Tensor{"attention_mask": formMask}},
		"still":  {inputs: map[string]*tensor.Tensor{"guiding_frame_index": tensor.New(2)}},
		"ref":    {inputs: map[string]*tensor.Tensor{"ref_latent": formValue("ref", 2, 16, 1, 4, 6)}},
	},
	33: {"concat": {}},
	32: {"sky": {}},
	65: {
		"alone":  {},
		"masked": {inputs: map[string]*tensor.Tensor{"attention_mask": formMask}},
		"all":    {inputs: map[string]*tensor.Tensor{"txt_byt5": formValue("glyphs", 2, 3, 1472), "clip_fea": formValue("seen", 2, 4, 12)}, next: true},
	},
	98: {"super": {inputs: map[string]*tensor.Tensor{"txt_byt5": formValue("glyphs", 2, 3, 1472), "clip_fea": formValue("seen", 2, 4, 12)}, next: true}},
}

// formMask is a mask of both rows; upstream takes one row with a mask or a reference latent, and fails on more.
var formMask = &tensor.Tensor{Shape: []int{2, 5}, Data: []float32{1, 1, 1, 0, 0, 1, 1, 1, 0, 0}}

// TestFormsEqualUpstream compares calls of the networks: text to video, both forms of image to video, SkyReels, 1.5 and its super-resolution. Upstream's
// own error in float32 is about 1e-6.
func TestFormsEqualUpstream(t *testing.T) {
	t.Parallel()
	for channels, calls := range formCalls {
		stored, src := familytest.Recorded(t, fmt.Sprint("testdata/forms", channels), "hunyuanforms")
		d, _, err := family.Open(family.Default, src).Diffusion()
		if err != nil {
			t.Fatal(err)
		}
		x, out := formValue(fmt.Sprint("x", channels), 2, channels, 3, 4, 6), d.Latent().Channels
		for name, c := range calls {
			list := []sampling.Input{{Name: sampling.InputContext, Value: formValue("context", 2, 5, 24), Rule: sampling.ByRows}}
			add := func(name string, v *tensor.Tensor) {
				list = append(list, sampling.Input{Name: name, Value: v, Rule: sampling.ByRows})
			}
			if out == 16 {
				add("y", formValue("y", 2, 20))
			}
			if channels > out {
				add("concat", channelsOf(x, out, channels))
			}
			for name, v := range c.inputs {
				add(name, v)
			}
			in := sampling.Inputs{List: list}
			if next := float32(0.5); c.next {
				in.Next = &next
			}
			y, err := d.Predict(t.Context(), familytest.Runner{}, family.Call{X: channelsOf(x, 0, out), T: []float32{300, 800}, Inputs: in})
			if err != nil {
				t.Errorf("%d channels, %s: %v", channels, name, err)
				continue
			}
			if c.inputs["attention_mask"] != nil || c.inputs["ref_latent"] != nil {
				y = y.Slice(0, 1)
			}
			familytest.Compare(t, stored, name, y, golden.Tolerance{RMSRel: 1e-5})
		}
	}
}
