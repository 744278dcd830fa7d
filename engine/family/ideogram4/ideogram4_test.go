package ideogram4_test

import (
	"os"
	"testing"

	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// TestEqualsUpstream compares calls with text, with text that is padded in one row, and without text; torch's own error in float32 is about
// 1e-6, to which the frequencies add, as positions beyond 65536 turn the last bit of one into an angle of 0.004.
func TestEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/ideogram4", "ideogram4")
	d, fam, err := family.Open(family.Default, src).Diffusion()
	if err != nil || fam.Name() != "Ideogram 4" {
		t.Fatalf("%v, %v", fam, err)
	}
	if d.Memory([]int{1, 128, 16, 16}, 77) <= 0 {
		t.Error("no estimate of memory")
	}
	text := golden.Normal("ideogram4/context", 2, 5, 24)
	mask := &tensor.Tensor{Shape: []int{2, 5}, Data: []float32{1, 1, 1, 1, 1, 1, 1, 1, 0, 0}}
	for name, cond := range map[string]*sampling.Cond{
		"out": {Tokens: text}, "masked": {Tokens: text, Values: map[string]any{sampling.KeyAttentionMask: mask}}, "image": {},
	} {
		in, err := d.Inputs(cond, sampling.Request{Format: d.Latent()})
		if err != nil {
			t.Fatal(err)
		}
		y, err := d.Predict(t.Context(), familytest.Runner{}, family.Call{X: golden.Normal("ideogram4/x", 2, 128, 2, 3), T: []float32{0.3, 0.8}, Inputs: sampling.Inputs{List: in}})
		if err != nil {
			t.Fatal(err)
		}
		familytest.Compare(t, stored, name, y, golden.Tolerance{RMSRel: 2e-5})
	}
}

func TestDetection(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/ideogram4", "ideogram4")
	familytest.CheckDetection(t, map[string]familytest.Detection{
		"Ideogram 4":     {Source: src, Family: "Ideogram 4", Type: sampling.Flow, Shift: 1},
		"no indicator":   {Source: src, Without: "embed_image_indicator"},
		"no heads":       {Source: src, Without: "norm_q"},
		"other channels": {Source: dryrun.List("embed_image_indicator.weight 2 256\ninput_proj.weight 256 64\nlayers.0.feed_forward.w1.weight 24 256\nadaln_proj.weight 16 256\nllm_cond_norm.weight 24\nlayers.0.attention.norm_q.weight 256\n")},
	})
	d, _, err := family.Open(family.Default, src).Diffusion()
	if err != nil {
		t.Fatal(err)
	}
	familytest.CheckLoRAKeys(t, d, map[string]patch.Target{
		"lora_unet_layers_0_attention_qkv":         {Key: "layers.0.attention.qkv.weight"},
		"diffusion_model.layers.1.feed_forward.w2": {Key: "layers.1.feed_forward.w2.weight"},
	})
	familytest.CheckCUDA(t, src, 1)
}
