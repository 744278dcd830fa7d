package boogu_test

import (
	"os"
	"testing"

	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/familytest"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// TestEqualsUpstream compares calls without and with reference latents; torch's own error in float32 is about 1e-6.
func TestEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/boogu", "boogu")
	d, fam, err := family.Open(family.Default, src).Diffusion()
	if err != nil || fam.Name() != "Boogu" {
		t.Fatalf("%v, %v", fam, err)
	}
	if d.Memory([]int{1, 16, 16, 16}, 77) <= 0 {
		t.Error("no estimate of memory")
	}
	refs := []any{golden.Normal("boogu/ref0", 2, 16, 4, 8), golden.Normal("boogu/ref1", 2, 16, 6, 4)}
	for name, values := range map[string]map[string]any{"out": {}, "refs": {sampling.KeyReferences: refs}} {
		in, err := d.Inputs(&sampling.Cond{Tokens: golden.Normal("boogu/context", 2, 7, 24), Values: values}, sampling.Request{Format: sampling.LatentFormat{Scale: 1}})
		if err != nil {
			t.Fatal(err)
		}
		y, err := d.Predict(t.Context(), familytest.Runner{}, family.Call{
			X: golden.Normal("boogu/x", 2, 16, 5, 6), T: []float32{0.3, 0.8}, Inputs: sampling.Inputs{List: in},
		})
		if err != nil {
			t.Fatal(err)
		}
		familytest.Compare(t, stored, name, y, golden.Tolerance{RMSRel: 1e-5})
	}
}

func TestDetection(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/boogu", "boogu")
	familytest.CheckDetection(t, map[string]familytest.Detection{
		"Boogu":              {Source: src, Family: "Boogu", Type: sampling.Flow, Shift: 3.16},
		"no embedding":       {Source: src, Without: "x_embedder"},
		"a part of the keys": {Source: src, Without: "double_stream_layers.0.img_instruct_attn"},
		"OmniGen2":           {Manifest: "mod-omnigen2", Family: "OmniGen2", Type: sampling.Flow, Shift: 2.6},
	})
	d, _, err := family.Open(family.Default, src).Diffusion()
	if err != nil {
		t.Fatal(err)
	}
	familytest.CheckLoRAKeys(t, d, map[string]patch.Target{
		"double_stream_layers.0.img_instruct_attn.processor.img_to_q": {Key: "double_stream_layers.0.img_instruct_attn.processor.img_to_q.weight"},
		"lora_unet_single_stream_layers_0_attn_to_q":                  {Key: "single_stream_layers.0.attn.to_q.weight"},
	})
	familytest.CheckCUDA(t, src, 1)
}
