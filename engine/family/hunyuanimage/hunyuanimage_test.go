package hunyuanimage_test

import (
	"slices"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/onnx"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/tests/cudakernels"
)

const (
	manifest  = "hunyuan-image21-small"
	distilled = "hunyuan-image21-distilled-small"
)

func TestDetection(t *testing.T) {
	t.Parallel()
	familytest.CheckDetection(t, map[string]familytest.Detection{
		"HunyuanImage 2.1": {Manifest: manifest, Family: "HunyuanImage 2.1", Type: sampling.Flow, Shift: 5},
		"distilled":        {Manifest: distilled, Family: "HunyuanImage 2.1", Type: sampling.Flow, Shift: 5},
		"no glyphs":        {Manifest: manifest, Without: "byt5_in", Family: "HunyuanImage 2.1", Type: sampling.Flow, Shift: 5},
		"no refiner":       {Manifest: manifest, Without: "individual_token_refiner"},
		"no image layer":   {Manifest: manifest, Without: "img_in"},
	})
}

// TestDistilled checks that the distilled model reads the next sigma of the schedule, if there is one.
func TestDistilled(t *testing.T) {
	t.Parallel()
	m := familytest.Model(t, distilled, dtype.BF16)
	shape, next := []int{1, 64, 5, 4}, float32(0.5)
	in, err := m.Inputs(&sampling.Cond{Tokens: tensor.New(1, 4, 3584)}, sampling.Request{Shape: shape, Format: m.Latent()})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []*float32{nil, &next} {
		for _, target := range familytest.Targets(t) {
			run := &dryrun.Runner{Spec: family.Spec{Target: target}}
			call := family.Call{X: tensor.New(shape...), T: []float32{1}, Inputs: sampling.Inputs{List: in, Next: n}}
			if _, err := m.Predict(t.Context(), run, call); err != nil {
				t.Fatal(err)
			}
			for _, g := range run.Graphs {
				reads := slices.ContainsFunc(g.Inputs(), func(v *onnx.Value) bool { return v.Name == "next" })
				if reads != (n != nil) {
					t.Errorf("with a next sigma %v: the graph reads it: %v", n, reads)
				}
				cudakernels.Check(t, g)
			}
		}
	}
}

func TestLoRAKeys(t *testing.T) {
	t.Parallel()
	familytest.CheckLoRAKeys(t, familytest.Model(t, manifest, dtype.Invalid), map[string]patch.Target{
		"lora_unet_double_blocks_0_img_attn_qkv": {Key: "double_blocks.0.img_attn.qkv.weight"},
		"diffusion_model.txt_in.input_embedder":  {Key: "txt_in.input_embedder.weight"},
	})
}

// TestCUDA checks the graphs with and without glyphs and hidden text.
func TestCUDA(t *testing.T) {
	t.Parallel()
	familytest.CheckCUDA(t, familytest.Manifest(t, manifest, dtype.Invalid), 1)
	m := familytest.Model(t, manifest, dtype.BF16)
	mask := tensor.New(1, 4)
	mask.Data[0] = 1
	for name, values := range map[string]map[string]any{
		"glyphs":        {"conditioning_byt5small": tensor.New(1, 3, 1472)},
		"mask":          {sampling.KeyAttentionMask: mask},
		"glyphs, mask":  {"conditioning_byt5small": tensor.New(1, 3, 1472), sampling.KeyAttentionMask: mask},
		"nothing but 1": {sampling.KeyAttentionMask: &tensor.Tensor{Shape: []int{1, 4}, Data: []float32{1, 1, 1, 1}}},
	} {
		shape := []int{1, 64, 5, 4}
		in, err := m.Inputs(&sampling.Cond{Tokens: tensor.New(1, 4, 3584), Values: values}, sampling.Request{Shape: shape, Format: m.Latent()})
		if err != nil {
			t.Fatal(err)
		}
		if len(in)-1 != len(values) && name != "nothing but 1" {
			t.Errorf("%s: %d inputs", name, len(in))
		}
		for _, target := range familytest.Targets(t) {
			run := &dryrun.Runner{Spec: family.Spec{Target: target}}
			if _, err := m.Predict(t.Context(), run, family.Call{X: tensor.New(shape...), T: []float32{1}, Inputs: sampling.Inputs{List: in}}); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for _, g := range run.Graphs {
				cudakernels.Check(t, g)
			}
		}
	}
}
