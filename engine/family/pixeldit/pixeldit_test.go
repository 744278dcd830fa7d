package pixeldit_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/familytest"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/tokenizer"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// TestEqualsUpstream compares calls of an image that the patch does not divide, with a text that fits and with one that is too long; torch's
// own error in float32 is about 1e-6.
func TestEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/pixeldit", "pixeldit")
	d, fam, err := family.Open(family.Default, src).Diffusion()
	if err != nil || fam.Name() != "PixelDiT" {
		t.Fatalf("%v, %v", fam, err)
	}
	if d.Memory([]int{1, 3, 64, 64}, 77) <= 0 {
		t.Error("no estimate of memory")
	}
	for name, text := range map[string]*tensor.Tensor{"out": golden.Normal("pixeldit/context", 2, 5, 16), "long": golden.Normal("pixeldit/long", 2, 9, 16)} {
		in, err := d.Inputs(&sampling.Cond{Tokens: text}, sampling.Request{Format: d.Latent()})
		if err != nil {
			t.Fatal(err)
		}
		y, err := d.Predict(t.Context(), familytest.Runner{}, family.Call{X: golden.Normal("pixeldit/x", 2, 3, 10, 8), T: []float32{300, 800}, Inputs: sampling.Inputs{List: in}})
		if err != nil {
			t.Fatal(err)
		}
		familytest.Compare(t, stored, name, y, golden.Tolerance{RMSRel: 1e-5})
	}
}

// TestPiDEqualsUpstream compares a call with a latent of four channels, and one of version 1.5 with a latent of Flux.2.
func TestPiDEqualsUpstream(t *testing.T) {
	t.Parallel()
	for name, latent := range map[string]*tensor.Tensor{"pid": golden.Normal("pixeldit/pid/latent", 2, 4, 3, 2), "pid2": golden.Normal("pixeldit/pid2/latent", 2, 128, 2, 2)} {
		stored, src := familytest.Recorded(t, "testdata/"+name, "pixeldit")
		familytest.CheckDetection(t, map[string]familytest.Detection{
			name:                {Source: src, Family: "PiD", Type: sampling.Flow, Shift: 1.5},
			"without a gate":    {Source: src, Without: "gate_modules"},
			"without a latent":  {Source: src, Without: "lq_proj.latent_proj.0"},
			"without its heads": {Source: src, Without: "q_norm"},
		})
		d, _, err := family.Open(family.Default, src).Diffusion()
		if err != nil {
			t.Fatal(err)
		}
		if d.Memory([]int{1, 3, 64, 64}, 77) <= 0 {
			t.Error("no estimate of memory")
		}
		cond := &sampling.Cond{Tokens: golden.Normal("pixeldit/context", 2, 5, 16), Values: map[string]any{
			sampling.KeyDecodedLatent: latent, sampling.KeyDecodedSigma: &tensor.Tensor{Shape: []int{2}, Data: []float32{0.1, 0.4}},
		}}
		in, err := d.Inputs(cond, sampling.Request{Format: d.Latent()})
		if err != nil {
			t.Fatal(err)
		}
		y, err := d.Predict(t.Context(), familytest.Runner{}, family.Call{X: golden.Normal("pixeldit/x", 2, 3, 10, 8), T: []float32{300, 800}, Inputs: sampling.Inputs{List: in}})
		if err != nil {
			t.Fatal(err)
		}
		familytest.Compare(t, stored, "out", y, golden.Tolerance{RMSRel: 1e-5})
		familytest.CheckCUDA(t, src, 1)
		for want, values := range map[string]map[string]any{
			"put PiDConditioning": nil,
			"channels":            {sampling.KeyDecodedLatent: tensor.New(1, 3, 2, 2), sampling.KeyDecodedSigma: tensor.New(1)},
			"of type":             {sampling.KeyDecodedLatent: 1},
		} {
			if _, err := d.Inputs(&sampling.Cond{Tokens: cond.Tokens, Values: values}, sampling.Request{}); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", want, err)
			}
		}
	}
}

func TestDetection(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/pixeldit", "pixeldit")
	familytest.CheckDetection(t, map[string]familytest.Detection{
		"PixelDiT":  {Source: src, Family: "PixelDiT", Type: sampling.Flow, Shift: 4},
		"no pixels": {Source: src, Without: "pixel_embedder"},
		"no heads":  {Source: src, Without: "q_norm"},
	})
	d, _, err := family.Open(family.Default, src).Diffusion()
	if err != nil {
		t.Fatal(err)
	}
	familytest.CheckLoRAKeys(t, d, map[string]patch.Target{
		"lora_unet_patch_blocks_0_attn_qkv_x": {Key: "patch_blocks.0.attn.qkv_x.weight"},
	})
	familytest.CheckCUDA(t, src, 1)
}

// TestText lays prompts out by a tokenizer of words, and cuts a long encoding.
func TestText(t *testing.T) {
	t.Parallel()
	var scheme family.Single
	for _, s := range family.Default.Schemes() {
		if one, ok := s.(family.Single); ok && s.Type() == "pixeldit" {
			scheme = one
		}
	}
	words := func(text string, o family.TokenizeOptions) (tokenizer.Tokens, error) {
		rules := tokenizer.Options{}
		o.Layout(&rules)
		var row []tokenizer.Token
		for _, w := range strings.Fields(text) {
			row = append(row, tokenizer.Token{ID: int32(len(w))})
		}
		for len(row) < rules.MinLength {
			row = append(row, tokenizer.Token{})
		}
		return tokenizer.Tokens{row}, nil
	}
	length := func(text string) int {
		t.Helper()
		out, err := scheme.Encoder.Tokenize(words, family.Prompt{Text: text}, family.TokenizeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return len(out[0])
	}
	long := length(strings.Repeat("word ", 1000))
	if length(" ") != 300 || length("a cat") != long || long <= 398 {
		t.Errorf("%d tokens of an empty prompt, %d of a short one, %d of a long one", length(" "), length("a cat"), long)
	}
	e := family.Encoding{Hidden: tensor.New(1, 310, 2), Mask: tensor.New(1, 310)}
	for i := range e.Hidden.Data {
		e.Hidden.Data[i], e.Mask.Data[i/2] = float32(i), float32(i/2)
	}
	cut, err := scheme.Finish(e, nil)
	if err != nil || !slices.Equal(cut.Hidden.Shape, []int{1, 300, 2}) || cut.Hidden.Data[1] != 1 || cut.Hidden.Data[2] != 22 || cut.Mask.Data[1] != 11 || cut.Mask.Data[299] != 309 {
		t.Errorf("%v, %v", cut.Hidden, err)
	}
}
