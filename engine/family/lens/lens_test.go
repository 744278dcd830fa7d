package lens_test

import (
	"os"
	"testing"

	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/familytest"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// TestEqualsUpstream compares calls with a text, with a part of one hidden, and with none, which here is a hidden token; torch's own error in
// float32 is about 1e-6.
func TestEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/lens", "lens")
	d, fam, err := family.Open(family.Default, src).Diffusion()
	if err != nil || fam.Name() != "Lens" {
		t.Fatalf("%v, %v", fam, err)
	}
	text := golden.Normal("lens/context", 2, 5, 96)
	for name, c := range map[string]*sampling.Cond{
		"out":    {Tokens: text},
		"masked": {Tokens: text, Values: map[string]any{sampling.KeyAttentionMask: &tensor.Tensor{Shape: []int{2, 5}, Data: []float32{1, 1, 1, 0, 0, 1, 1, 1, 1, 1}}}},
		"empty":  {Tokens: tensor.New(2, 1, 96), Values: map[string]any{sampling.KeyAttentionMask: tensor.New(2, 1)}},
	} {
		in, err := d.Inputs(c, sampling.Request{Format: d.Latent()})
		if err != nil {
			t.Fatal(err)
		}
		y, err := d.Predict(t.Context(), familytest.Runner{}, family.Call{X: golden.Normal("lens/x", 2, 128, 3, 4), T: []float32{0.3, 0.8}, Inputs: sampling.Inputs{List: in}})
		if err != nil {
			t.Fatal(err)
		}
		familytest.CompareEvery(t, stored, name+"_s8", y, y.Shape, 8, golden.Tolerance{RMSRel: 1e-5})
	}
	if d.Memory([]int{1, 128, 32, 32}, 77) <= 0 {
		t.Error("no estimate of memory")
	}
	wrong := &sampling.Cond{Tokens: text, Values: map[string]any{sampling.KeyAttentionMask: tensor.New(2, 3)}}
	in, err := d.Inputs(wrong, sampling.Request{Format: d.Latent()})
	if err == nil {
		_, err = d.Predict(t.Context(), familytest.Runner{}, family.Call{X: tensor.New(2, 128, 3, 4), T: []float32{1, 1}, Inputs: sampling.Inputs{List: in}})
	}
	if err == nil {
		t.Error("a mask of three tokens for five: no error")
	}
}

func TestDetection(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/lens", "lens")
	familytest.CheckDetection(t, map[string]familytest.Detection{
		"Lens":            {Source: src, Family: "Lens", Type: sampling.Flux, Shift: 1.829},
		"no gated MLP":    {Source: src, Without: "img_mlp.w1"},
		"no norm of text": {Source: src, Without: "txt_norm"},
	})
	d, _, err := family.Open(family.Default, src).Diffusion()
	if err != nil {
		t.Fatal(err)
	}
	familytest.CheckLoRAKeys(t, d, map[string]patch.Target{
		"lora_unet_transformer_blocks_0_attn_img_qkv":    {Key: "transformer_blocks.0.attn.img_qkv.weight"},
		"diffusion_model.transformer_blocks.1.txt_mod.1": {Key: "transformer_blocks.1.txt_mod.1.weight"},
	})
	familytest.CheckCUDA(t, src, 1)
}
