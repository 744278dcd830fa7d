package mageflow_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// tolerance is ten times torch's own error in float32, about 1e-6.
var tolerance = golden.Tolerance{RMSRel: 1e-5}

// TestEqualsUpstream compares calls without and with reference latents.
func TestEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/mageflow", "mageflow")
	d, fam, err := family.Open(family.Default, src).Diffusion()
	if err != nil || fam.Name() != "Mage-Flow" {
		t.Fatalf("%v, %v", fam, err)
	}
	if d.Memory([]int{1, 128, 16, 16}, 77) <= 0 {
		t.Error("no estimate of memory")
	}
	refs := []any{golden.Normal("mageflow/ref0", 2, 128, 2, 3), golden.Normal("mageflow/ref1", 2, 128, 3, 2)}
	for name, values := range map[string]map[string]any{"out": {}, "refs": {sampling.KeyReferences: refs}} {
		in, err := d.Inputs(&sampling.Cond{Tokens: golden.Normal("mageflow/context", 2, 5, 2560), Values: values}, sampling.Request{Format: d.Latent()})
		if err != nil {
			t.Fatal(err)
		}
		y, err := d.Predict(t.Context(), familytest.Runner{}, family.Call{
			X: golden.Normal("mageflow/x", 2, 128, 3, 2), T: []float32{0.3, 0.8}, Inputs: sampling.Inputs{List: in},
		})
		if err != nil {
			t.Fatal(err)
		}
		familytest.Compare(t, stored, name, y, tolerance)
	}
}

func openVAE(t *testing.T, src weights.Source) family.Autoencoder {
	t.Helper()
	v, err := family.Open(family.Default, src).VAE()
	if err != nil || v == nil {
		t.Fatalf("%v, %v", v, err)
	}
	return v
}

// TestVAEEqualsUpstream compares both halves; the latent takes two windows of attention, both incomplete.
func TestVAEEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/vae", "mageflow")
	v := openVAE(t, src)
	if i := v.Info(); i.Channels != 8 || i.Downscale != 4 || !i.CanEncode || !i.CanDecode {
		t.Errorf("%+v", i)
	}
	y, err := v.Decode(t.Context(), familytest.Runner{}, golden.Normal("mageflow/z", 1, 8, 2, 33))
	if err != nil {
		t.Fatal(err)
	}
	familytest.Compare(t, stored, "decode", y, tolerance)
	if y, err = v.Encode(t.Context(), familytest.Runner{}, golden.Normal("mageflow/pixels", 1, 3, 12, 20)); err != nil {
		t.Fatal(err)
	}
	familytest.Compare(t, stored, "encode", y, tolerance)
	if _, err := v.Decode(t.Context(), familytest.Runner{}, tensor.New(1, 4, 2, 2)); err == nil || !strings.Contains(err.Error(), "8 channels") {
		t.Errorf("a latent of another VAE: %v", err)
	}
	if _, err := v.Encode(t.Context(), familytest.Runner{}, tensor.New(1, 3, 2, 20)); err == nil || !strings.Contains(err.Error(), "at least 4 by 4") {
		t.Errorf("an image of two rows: %v", err)
	}
	familytest.CheckCUDA(t, src, 2)
}

func TestDetection(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/mageflow", "mageflow")
	familytest.CheckDetection(t, map[string]familytest.Detection{
		"Mage-Flow":  {Source: src, Family: "Mage-Flow", Type: sampling.Flow, Shift: 6},
		"no norm":    {Source: src, Without: "norm_q"},
		"Qwen-Image": {Manifest: "mod-qwen-image", Family: "Qwen-Image", Type: sampling.Flux, Shift: 1.15},
	})
	if _, err := family.Open(family.Default, dryrun.List("student.dconv_encoder.proj_out.weight 16 16 1 1\n")).VAE(); err == nil {
		t.Error("a part of the VAE is taken")
	}
	d, _, err := family.Open(family.Default, src).Diffusion()
	if err != nil {
		t.Fatal(err)
	}
	familytest.CheckLoRAKeys(t, d, map[string]patch.Target{
		"transformer.transformer_blocks.0.attn.to_q":   {Key: "transformer_blocks.0.attn.to_q.weight"},
		"lycoris_transformer_blocks_1_img_mlp_net_2":   {Key: "transformer_blocks.1.img_mlp.net.2.weight"},
		"lora_unet_transformer_blocks_0_attn_to_out_0": {Key: "transformer_blocks.0.attn.to_out.0.weight"},
	})
	familytest.CheckCUDA(t, src, 1)
}

// TestText lays out prompts with and without images for the type of the loaders.
func TestText(t *testing.T) {
	t.Parallel()
	for _, s := range family.Default.Schemes() {
		if s.Type() != "mage" {
			continue
		}
		write := s.Encoders()[0].Text
		plain, _ := write(family.Prompt{Text: "a cat"})
		images, _ := write(family.Prompt{Text: "a cat", Images: []*tensor.Tensor{nil, nil}})
		whole, _ := write(family.Prompt{Text: "<|im_start|>x"})
		const block = "<|vision_start|><|image_pad|><|vision_end|>"
		got := []bool{strings.Contains(plain, "user\na cat<|im_end|>"), strings.Contains(images, "user\nImage 1: "+block+"Image 2: "+block+"a cat<|im_end|>"), whole == "<|im_start|>x"}
		if slices.Contains(got, false) {
			t.Errorf("%v: %q, %q, %q", got, plain, images, whole)
		}
		return
	}
	t.Error("no scheme has the type mage")
}
