package joyimage_test

import (
	"os"
	"strings"
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

// unscaled is a latent format that leaves latents unchanged, as upstream's module does.
var unscaled = sampling.LatentFormat{Channels: 16, Scale: 1}

// TestEqualsUpstream compares predictions from text, of a size that patches do not divide, and with two images to edit; torch's own error in float32
// is about 1e-6.
func TestEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/joyimage", "joyimage")
	d, fam, err := family.Open(family.Default, src).Diffusion()
	if err != nil || fam.Name() != "JoyImage" {
		t.Fatalf("%v, %v", fam, err)
	}
	x := golden.Normal("joyimage/x", 2, 16, 1, 6, 8)
	odd := tensor.New(2, 16, 1, 5, 7)
	for p := range 32 {
		for y := range 5 {
			copy(odd.Data[(p*5+y)*7:][:7], x.Data[(p*6+y)*8:])
		}
	}
	refs := []any{golden.Normal("joyimage/one", 2, 16, 1, 4, 6), golden.Normal("joyimage/two", 2, 16, 1, 8, 4)}
	for name, c := range map[string]struct {
		x    *tensor.Tensor
		refs []any
	}{"text": {x, nil}, "odd": {odd, nil}, "edit": {x, refs}} {
		in, err := d.Inputs(&sampling.Cond{Tokens: golden.Normal("joyimage/context", 2, 5, 24), Values: map[string]any{sampling.KeyReferences: c.refs}}, sampling.Request{Format: unscaled})
		if err != nil {
			t.Fatal(err)
		}
		y, err := d.Predict(t.Context(), familytest.Runner{}, family.Call{X: c.x, T: []float32{300, 800}, Inputs: sampling.Inputs{List: in}})
		if err != nil {
			t.Fatal(name, err)
		}
		familytest.Compare(t, stored, name, y, golden.Tolerance{RMSRel: 1e-5})
	}
	if d.Memory([]int{1, 16, 1, 16, 16}, 77) <= 0 {
		t.Error("no estimate of memory")
	}
}

func TestDetection(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/joyimage", "joyimage")
	familytest.CheckDetection(t, map[string]familytest.Detection{
		"JoyImage":       {Source: src, Family: "JoyImage", Type: sampling.Flow, Shift: 1.5},
		"no time":        {Source: src, Without: "time_embedder"},
		"no norm":        {Source: src, Without: "img_attn_q_norm"},
		"other channels": {Source: dryrun.List("double_blocks.0.attn.img_attn_qkv.weight 96 32\ndouble_blocks.0.attn.img_attn_q_norm.weight 32\ncondition_embedder.time_embedder.linear_1.weight 32 256\ncondition_embedder.text_embedder.linear_1.weight 32 8\ndouble_blocks.0.img_mlp.net.0.proj.weight 64 32\nimg_in.weight 32 8 1 2 2\n")},
	})
	d, _, err := family.Open(family.Default, src).Diffusion()
	if err != nil {
		t.Fatal(err)
	}
	familytest.CheckLoRAKeys(t, d, map[string]patch.Target{
		"diffusion_model.double_blocks.1.attn.img_attn_qkv": {Key: "double_blocks.1.attn.img_attn_qkv.weight"},
	})
	if _, err := d.Inputs(&sampling.Cond{}, sampling.Request{}); err == nil || !strings.Contains(err.Error(), "text encoding") {
		t.Errorf("an entry without a text encoding: %v", err)
	}
	familytest.CheckCUDA(t, src, 1)
}

// TestText: the template's first tokens are left out, and a prompt without them is an error.
func TestText(t *testing.T) {
	t.Parallel()
	for _, s := range family.Default.Schemes() {
		if s.Name() != "JoyImage" {
			continue
		}
		image := tensor.New(1, 32, 32, 3)
		text, _ := s.Encoders()[0].Text(family.Prompt{Text: "hi", Images: []*tensor.Tensor{image, image}})
		if want := "user\n<|vision_start|><|image_pad|><|vision_end|><|vision_start|><|image_pad|><|vision_end|>hi<|im_end|>"; !strings.Contains(text, want) {
			t.Errorf("%q, want %q in it", text, want)
		}
		e, err := s.Join(map[string]family.Encoding{"qwen3vl_8b": {Hidden: tensor.New(1, 40, 8), Mask: tensor.New(1, 40)}})
		if err != nil || e.Hidden.Dim(1) != 6 || e.Mask.Dim(1) != 6 {
			t.Errorf("%v, %v", e, err)
		}
		if _, err := s.Join(map[string]family.Encoding{"qwen3vl_8b": {Hidden: tensor.New(1, 34, 8)}}); err == nil || !strings.Contains(err.Error(), "34 tokens") {
			t.Errorf("a prompt without the template: %v", err)
		}
		return
	}
	t.Error("no scheme")
}
